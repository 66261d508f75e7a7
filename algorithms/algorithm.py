"""Description of an algorithm as data: its graph of roles and channels, and the model of its config."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from pydantic import BaseModel

from surreal.protocol.graph import Channel, Role, relay_role


class Sizing(NamedTuple):
    """Sentences for the person who plans a run."""

    notes: tuple[str, ...] = ()
    """What to expect."""
    warnings: tuple[str, ...] = ()
    """What to change."""


@dataclass(frozen=True)
class Algorithm:
    """A graph of roles and channels, and the model its config must satisfy."""

    name: str
    config: type[BaseModel]
    roles: tuple[Role, ...]
    channels: tuple[Channel, ...]
    sizing: Callable[[Any, Mapping[str, int], Mapping[str, Any]], Sizing] | None = None
    """What to expect of a run: of its config, a model of `config`, the replicas of each role, relays included, and the
    environment. Pure and quick: it makes no environment."""

    def role(self, name: str) -> Role:
        """Return the role of that name. Raises KeyError if there is none."""
        return {role.name: role for role in self.roles}[name]

    def broadcasts(self) -> list[str]:
        """Return the names of the channels that can have relays."""
        return [channel.name for channel in self.channels if channel.kind == "broadcast"]

    def with_relays(self, relays: Mapping[str, int]) -> "Algorithm":
        """Return this algorithm with one more role for each broadcast that has a number above 0 in `relays`."""
        added = tuple(relay_role(name, relays[name]) for name in self.broadcasts() if relays.get(name))
        return replace(self, roles=self.roles + added)
