"""Values of a config that a run and its forks keep: its weights are learned with them, see `Config.lasting`.

With other values as many numbers are another function: the weights would be taken, and what they know is gone.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel

from surreal.algorithms.algorithm import Algorithm, differences, lasting
from surreal.protocol.documents.effects import shown
from surreal.protocol.documents.models import validated


class Lost(NamedTuple):
    """A value that weights were learned with, and that is another one now."""

    key: str
    """Key of the config that makes it another one: `updates_per_step`."""
    fact: str
    """Key that says the value: the same one, or `layer_norm`, which the other decides by default."""
    was: str
    """Value that the weights were learned with, as it stands in a file."""
    now: str

    @property
    def by_default(self) -> bool:
        """Return True where the key decides the value only as long as the other key does not say it."""
        return self.key != self.fact


def lost(was: BaseModel, now: BaseModel) -> Iterator[Lost]:
    """Yield what weights that were learned with the config `was` would lose with `now`."""
    for fact, before, after in differences(lasting(was), lasting(now)):
        yield Lost(_changed_by(fact, was, now), fact, shown(before), shown(after))


def recorded_config(data: Any, described: Algorithm) -> BaseModel | None:
    """Return the config in the file of a run, with the keys `of_its_time`; None for one that is none here."""
    return validated(described.config, data["spec"]["algorithm"]["config"])[0]


def _changed_by(fact: str, was: BaseModel, now: BaseModel) -> str:
    """Return the key that has changed `fact`: itself, or the one that decides it, found by taking each back."""
    own = fact.partition(".")[0]
    if type(was) is not type(now) or getattr(was, own, None) != getattr(now, own, None):
        return fact
    for key in type(now).model_fields:
        back = now.model_copy(update={key: getattr(was, key)})
        if fact not in {each for each, _, _ in differences(lasting(was), lasting(back))}:
            return key
    return fact
