"""Description of an algorithm as data: its graph of roles and channels, and the model of its config."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field

from surreal.protocol.documents.documented import Documented
from surreal.protocol.documents.effects import Only, idle_keys
from surreal.protocol.documents.models import validated
from surreal.protocol.errors import InvalidInput, did_you_mean
from surreal.protocol.graph import Channel, Role, relay_role


class Sizing(NamedTuple):
    """Sentences for the person who plans a run."""

    notes: tuple[str, ...] = ()
    """Expectations of the run."""
    warnings: tuple[str, ...] = ()
    """Advice to change something."""
    problems: tuple[tuple[str | tuple[str, ...], str], ...] = ()
    """Pairs (key of the config or path below `spec`, sentence) that make the run meaningless: nothing is started."""


class Flow(NamedTuple):
    """Way of experience through a graph, as far as the speed of a run depends on it (docs/profile.md)."""

    actor: str
    """The role that steps environments."""
    learner: str
    """The role that learns from the steps."""
    ahead: int | None
    """Updates that actors may be ahead of the learner: 0 in turns; None where only a full queue stops them."""
    fragment: int = 0
    """Steps of one actor that an update waits for, of every actor; 0 where it waits for none in particular."""
    batched: int = 1
    """Steps of one call of an actor's environments."""


@dataclass(frozen=True)
class Algorithm:
    """A graph of roles and channels, and the model that its config must satisfy.

    Raises InvalidInput for a graph that cannot run: see `_problems`.
    """

    name: str
    config: type[BaseModel]
    roles: Sequence[Role]
    channels: Sequence[Channel]
    sizing: Callable[[Any, Mapping[str, int], Mapping[str, Any]], Sizing] | None = None
    """Function of (config, an instance of `config`; role -> replicas, relays included; the environment's `id`, `copies`
    and `options`, the note that `check` gave about the `network`, and the experiment's `folder`). It is quick, and
    makes no environment."""
    check: str = ""
    """`module:function` of (config, function that makes the environment as policies see it: `features`, `parts` or
    `auto`), which yields pairs (key of the config, sentence) for what does not fit its spaces; the sentence of an empty
    key is a note about the network. It is called before a run with code of one's own, with wrappers or an environment
    of a suite, in a process of its own: it may need torch and a simulator. A sentence that it raises as Fatal is of the
    key that it begins with: `algorithm.name`, or else that of the environment."""

    selective: bool = False
    """True where some environments of gymnasium as they come do not pass `check`, so that it is called for each."""
    masks: bool = True
    """False where it takes no environment with masks of choices."""

    flow: Callable[[Any, Mapping[str, Any]], Flow] | None = None
    """Function of (config, the environment's `id` and `copies`), by which the speed of a run is predicted; None for an
    algorithm whose speed is not."""

    variants: Mapping[str, Mapping[str, "Callable[[Algorithm], Algorithm]"]] = field(default_factory=dict)
    """Key of the config -> its value -> function of this algorithm that returns it with the graph for that value."""

    begins_from: tuple[str, ...] = ()
    """Other algorithms whose checkpoints a run of this one can begin from, with counters of its own: they have the same
    networks and the same arrays."""

    def __post_init__(self) -> None:
        # Authors write lists as readily as tuples; these cannot change.
        object.__setattr__(self, "roles", tuple(self.roles))
        object.__setattr__(self, "channels", tuple(self.channels))
        problems = list(self._problems())
        if problems:
            raise InvalidInput(f"algorithm {self.name!r}: " + " ".join(problems))

    def _problems(self) -> Iterator[str]:
        names = [role.name for role in self.roles]
        for kind, of in (("role", names), ("channel", [channel.name for channel in self.channels])):
            for name, count in Counter(of).items():
                if count > 1:
                    yield f"{kind} {name!r} appears {count} times. Give each {kind} a name of its own."
        ending = [role.name for role in self.roles if role.ends_run]
        if len(ending) != 1:
            said = " and ".join(ending) or "none"
            yield f"exactly one role ends the run, here {said}. Set ends_run=True on one role."
        for channel in self.channels:
            for role in (*channel.frm, *channel.to):
                if role not in names:
                    near = did_you_mean(role, names)
                    yield f"channel {channel.name!r} connects role {role!r}{near}. The roles are: {', '.join(names)}."

    def __call__(self, **config: Any) -> "Configured":
        """Return this algorithm with these hyperparameters; those left out keep their defaults.

        Raises InvalidInput that names every wrong key.
        """
        _, problems = validated(self.config, config)
        if problems:
            raise InvalidInput("\n".join(f"{self.name}: {'.'.join(map(str, path))}: {text}" for path, text in problems))
        return Configured(self, config)

    def sized(self, config: BaseModel, replicas: Mapping[str, int], env: Mapping[str, Any]) -> Sizing:
        """Return what `sizing` says, and a warning of each key of `config` that has no effect."""
        size = self.sizing(config, replicas, env) if self.sizing else Sizing()
        idle = tuple(f"{'.'.join(map(str, path))}: {text}" for path, text in idle_keys(config))
        return size._replace(warnings=(*size.warnings, *idle))

    def role(self, name: str) -> Role:
        """Return the role of that name. Raises KeyError if there is none."""
        return {role.name: role for role in self.roles}[name]

    def arranged(self, config: Any) -> "Algorithm":
        """Return this algorithm with the graph that `config` asks for, as an experiment file has it: wrong, perhaps."""
        found: Algorithm = self
        for key, values in self.variants.items():
            asked = config.get(key) if isinstance(config, Mapping) else None
            if isinstance(asked, str) and asked in values:
                found = values[asked](found)
        return found

    def widest(self) -> "Algorithm":
        """Return this algorithm with every role that a config can ask for."""
        found: Algorithm = self
        for values in self.variants.values():
            for arrange in values.values():
                found = arrange(found)
        return found

    def broadcasts(self) -> list[str]:
        """Return the names of the channels that can have relays."""
        return [channel.name for channel in self.channels if channel.kind == "broadcast"]

    def with_relays(self, relays: Mapping[str, int]) -> "Algorithm":
        """Return this algorithm with one more role for each broadcast that has a number above 0 in `relays`."""
        added = tuple(relay_role(name, relays[name]) for name in self.broadcasts() if relays.get(name))
        return replace(self, roles=(*self.roles, *added)) if added else self


@dataclass(frozen=True)
class Configured:
    """An algorithm with hyperparameters: `PPO(total_steps=1_000_000)`."""

    algorithm: Algorithm
    config: Mapping[str, Any]
    """Hyperparameters that were said, plain data."""


Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
ACTIONS = "the actions"
"""Fact of an environment, by which keys have an effect: its actions are NUMBERS or choices."""
NUMBERS = {ACTIONS: "numbers"}
"""Condition of keys that are of Box actions alone."""
LASTING = ("hidden", "network", "normalize_observations", "normalize_rewards")
"""Keys that weights are learned with, in whatever config they are: with other values they are another function."""


def lasting(config: BaseModel) -> dict[str, Any]:
    """Return key -> value of what the weights of a run are learned with, which it keeps for life; see Config.lasting.

    A fork keeps it too: as many numbers of another network fit, and are noise.
    """
    return config.lasting() if isinstance(config, Config) else _usual_lasting(config)


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield (key, value before, value now) of what `lasting` returned for two configs, for the keys that both have.

    What is a mapping is compared key by key: `network.encoder`.
    """
    for key in (key for key in was if key in now):
        one, other = was[key], now[key]
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            pairs = [(f"{key}.{inner}", one.get(inner), other.get(inner)) for inner in {**one, **other}]
        else:
            pairs = [(key, one, other)]
        yield from (pair for pair in pairs if pair[1] != pair[2])


def _usual_lasting(config: BaseModel) -> dict[str, Any]:
    found = {key: getattr(config, key) for key in LASTING if key in type(config).model_fields}
    inner = {key: value for key, value in found.items() if isinstance(value, BaseModel)}
    nested = {key: value.lasting() if isinstance(value, Config) else value.model_dump() for key, value in inner.items()}
    return {**found, **nested}


class Config(Documented):
    """Hyperparameters of an algorithm: frozen, strict about types, and without unknown keys.

    Each field has a default. A string below a field is its documentation, which `surreal schema` shows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    only: ClassVar[list[Only]] = []
    """Keys that have an effect only beside certain values of others. One that has none is warned of."""
    before: ClassVar[Mapping[str, Any]] = {}
    """Key that came later -> the value that runs before it had in effect, where that is not its default."""

    @classmethod
    def recorded(cls, data: Mapping[str, Any]) -> Self:
        """Return the config that a run has recorded with all keys of its time; `before` has those that came later.

        A run keeps its algorithm when a newer version resumes it.
        """
        return cls(**{**cls.before, **data})

    def lasting(self) -> dict[str, Any]:
        """Return key -> value of what weights are learned with, as it is decided: networks, scales, optimizers.

        By default those of LASTING that it has. An algorithm adds its own. What another key decides stands under the
        key that can say it: `layer_norm: true` of many updates a step.
        """
        return _usual_lasting(self)
