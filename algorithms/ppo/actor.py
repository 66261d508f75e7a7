"""The actor, which collects fragments with weights that are new enough, and the evaluator."""

from surreal.algorithms.inference.actor import act
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.rollouts.actor import evaluate
from surreal.protocol.wire.packet import Version
from surreal.protocol.worker.process import Process


class Pace:
    """Choice of the weights that the next fragment needs, so that the learner never sees one too stale.

    A fragment that the learner will use at update `due` may be collected with a version `max_staleness` older.
    """

    def __init__(self, max_staleness: int) -> None:
        self._max_staleness = max_staleness
        self._epoch, self._due = -1, 0

    def newer_than(self) -> Version | None:
        """Return the version that the next weights must exceed; None before the first."""
        return None if self._epoch < 0 else (self._epoch, self._due - self._max_staleness - 1)

    def collected(self, version: Version) -> None:
        """Note that a fragment was collected with `version`: the next is due one update later."""
        epoch, number = version
        if epoch != self._epoch:  # a restarted learner counts anew from its checkpoint
            self._epoch, self._due = epoch, number
        self._due = max(self._due, number) + 1


def actor(process: Process) -> None:
    """Act until told to stop."""
    config = PPOConfig.recorded(process.config)
    act(process, config, Pace(config.max_staleness))


def evaluator(process: Process) -> None:
    """Evaluate on a clock of its own."""
    evaluate(process, PPOConfig.recorded(process.config))
