"""Sessions of a replica: the memory of every group of copies that asks it, advanced once for each numbered step.

A session is of (actor, incarnation, group). A new incarnation of an actor begins anew, as a run_id does in SEED RL
(Espeholt et al. 2020). A step that is asked again gets the answer that it had.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from surreal.algorithms.types import F32, Array, Bool
from surreal.protocol.wire.packet import Version


class Key(NamedTuple):
    """Name of a group of copies."""

    sender: str
    group: int


class Answer(NamedTuple):
    """Answer to one step of a group."""

    arrays: Mapping[str, Array]
    version: Version
    """Weights that it was computed with."""


@dataclass
class Session:
    """One group of copies, as a replica knows it."""

    incarnation: int
    step: int
    """Number of the step that was answered last, or is computed now."""
    state: F32
    """Memory [copies, state_size] after that step."""
    answer: Answer | None = None
    """Answer to it; None while it is computed."""


class OutdatedError(ValueError):
    """A question of an actor that was replaced by a newer one."""


class Sessions:
    """All sessions of one replica. Not thread-safe."""

    def __init__(self, state_size: int) -> None:
        self._state_size = state_size
        self._known: dict[Key, Session] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: Key, incarnation: int, step: int) -> Session | None:
        """Return the session that has this very step already, whose answer is to be repeated; None for a new step.

        Raises OutdatedError for an older incarnation than the one that asked last.
        """
        known = self._known.get(key)
        if known is None or known.incarnation < incarnation:
            return None
        if known.incarnation > incarnation:
            raise OutdatedError(
                f"{key.sender} of incarnation {incarnation} was replaced by incarnation {known.incarnation}. End it."
            )
        return known if known.step == step else None

    def begin(self, key: Key, incarnation: int, step: int, first: Bool) -> tuple[Session, bool]:
        """Return the session for a new step, and True if what the copies remembered is not known here.

        Memory is zero where an episode begins, `first` [copies], and all of it where the step does not follow the last
        one, the incarnation is a new one, or there are other copies.
        """
        known = self._known.get(key)
        follows = (
            known is not None
            and (known.incarnation, known.step + 1) == (incarnation, step)
            and len(known.state) == len(first)
        )
        if follows:
            assert known is not None
            known.step, known.answer = step, None
            known.state[first] = 0.0
            return known, False
        fresh = Session(incarnation, step, np.zeros((len(first), self._state_size), np.float32))
        self._known[key] = fresh
        return fresh, True
