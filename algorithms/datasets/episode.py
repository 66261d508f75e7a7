"""Episode of a dataset and what must hold of it, whatever file it came from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium import spaces

from surreal.algorithms.types import F64, Array, Bool
from surreal.protocol.errors import Fatal

Nested = Any
"""An array [n, ...], or a mapping or a tuple of such: observations of a Dict or a Tuple."""


INDEX = "_index_"
"""Begin of the names of a Tuple's parts, as minari has them."""


class DamagedError(Fatal):
    """A dataset, or one of its episodes, makes no sense: the text names file and episode."""


@dataclass(frozen=True)
class Episode:
    """Steps of one episode, or of a part of one that was cut out of it."""

    place: str
    """File and episode, for errors: `walks.hdf5: episode 3`."""
    observations: Nested
    """One more than there are steps [steps + 1, ...]; the last one is what the episode ended in."""
    actions: Array
    """Actions of the environment's own space [steps, ...]."""
    rewards: F64
    """float64 [steps]."""
    terminated: bool
    """The last step was terminal: nothing follows it. It counts where a time limit came in the same step."""
    truncated: bool
    """The last step was cut, by a time limit or by the recording: what followed is unknown."""
    seed: int | None = None
    """Seed that the environment was reset with."""
    behaviour: Mapping[str, Array] = field(default_factory=dict)
    """Further arrays [steps] of how it was recorded: `log_probabilities` of the actions that were taken."""

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.rewards)

    def check(self) -> "Episode":
        """Return this episode. Raises DamagedError for one without steps, of unequal lengths, or with NaN."""
        steps = len(self.rewards)
        if not steps:
            raise DamagedError(f"{self.place}: it has no steps. Remove it, or set skip_damaged: true.")
        for name, count in (("actions", len(self.actions)), *_lengths(self.observations)):
            wanted = steps if name == "actions" else steps + 1
            if count != wanted:
                raise DamagedError(f"{self.place}: {count} {name} for {steps} rewards. Expected {wanted}.")
        bad = ~np.isfinite(self.rewards)
        if bad.any():
            at = int(np.argmax(bad))
            raise DamagedError(f"{self.place}: the reward of step {at} is {self.rewards[at]}. Set skip_damaged: true.")
        return self


def _lengths(observations: Nested) -> Iterator[tuple[str, int]]:
    """Yield the name and the number of rows of every array of observations."""
    for path, array in leaves(observations):
        yield ".".join(("observations", *path)), len(array)


def leaves(nested: Nested, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Array]]:
    """Yield path and array of all that `nested` consists of; parts of a tuple are named by INDEX and number."""
    if isinstance(nested, Mapping):
        for key, part in nested.items():
            yield from leaves(part, (*path, str(key)))
    elif isinstance(nested, tuple):
        for number, part in enumerate(nested):
            yield from leaves(part, (*path, f"{INDEX}{number}"))
    else:
        yield path, nested


def ends(place: str, terminations: Bool, truncations: Bool) -> tuple[bool, bool]:
    """Return (terminated, truncated) of an episode from the flags [steps] of its steps.

    Raises DamagedError where a flag stands before the last step: the file then contradicts itself. An episode without
    any flag was cut by its recording, which is a truncation.
    """
    for name, flags in (("terminations", terminations), ("truncations", truncations)):
        early = np.flatnonzero(flags[:-1])
        if len(early):
            raise DamagedError(
                f"{place}: {name} is true at step {early[0]} of {len(flags)}, and the episode goes on. "
                "Record it anew, or set skip_damaged: true."
            )
    terminated = bool(len(terminations) and terminations[-1])
    return terminated, not terminated


@dataclass(frozen=True)
class About:
    """Facts of a dataset that its files tell."""

    format: str
    """`minari`, `d4rl`, `rlds` or `recorded`."""
    episodes: int
    """Number of episodes; 0 where only reading tells."""
    steps: int
    """Number of steps; 0 where only reading tells."""
    env_id: str | None = None
    """Environment that it was recorded in."""
    observation: spaces.Space[Any] | None = None
    action: spaces.Space[Any] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Facts that the writer noted: policies, seeds, versions."""
