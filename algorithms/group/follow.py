"""Loop of the learners beyond index 0, which learn what it learns and leave all else to it."""

from logging import getLogger
from typing import NoReturn, Protocol, TypeVar

from surreal.algorithms.group.exchange import Group, RegroupError, Waiting, same_everywhere
from surreal.algorithms.training_loop import TrainingState

log = getLogger(__name__)
SAY_EVERY = 10.0
"""Seconds of a wait after which it is said, and between two times that it is."""
Data = TypeVar("Data")


class Follower(Protocol[Data]):
    """Part of an algorithm in the loop; its trainer has it for the training loop of index 0."""

    @property
    def state(self) -> TrainingState:
        """Everything that learning changes."""

    def begin_epoch(self, epoch: int) -> None:
        """Take fragments of this epoch of weights from now on."""

    def collect(self, waiting: Waiting) -> Data:
        """Wait for the data of the next update."""

    def learn(self, data: Data) -> object:
        """Make one update."""


class Patience:
    """Reports of a wait in the log, every ten seconds."""

    def __init__(self) -> None:
        self._said = 0.0

    def __call__(self, names: str, seconds: float) -> None:
        """Say what is waited for, unless that was said a moment ago."""
        if seconds < self._said:
            self._said = 0.0
        if seconds - self._said >= SAY_EVERY:
            self._said = seconds
            log.warning("no update for %.0f s: waiting for %s", seconds, names)


def follow(group: Group, follower: Follower[Data]) -> NoReturn:
    """Learn with index 0 for as long as the run lasts. Raises Stopping at its end."""
    waiting = Patience()
    while True:
        try:
            _learn(group, follower, waiting)
            group.linger()
        except RegroupError:
            log.warning("the first learner was started anew: going back to its checkpoint")


def _learn(group: Group, follower: Follower[Data], waiting: Waiting) -> None:
    group.join(waiting)
    restored = same_everywhere(group, None)
    follower.state.restore(restored)
    follower.begin_epoch(group.members.generation)
    log.info("learner %d of %d begins at step %d", group.rank + 1, group.size, restored.steps)
    while not follower.state.done():
        follower.learn(follower.collect(waiting))
