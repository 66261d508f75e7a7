"""The actor, which takes the newest weights there are and never waits for newer ones, and the evaluator."""

from surreal.algorithms.impala.config import IMPALAConfig
from surreal.algorithms.inference.actor import act
from surreal.algorithms.rollouts.actor import evaluate
from surreal.protocol.wire.packet import Version
from surreal.protocol.worker.process import Process


class Newest:
    """Choice of the weights of the next fragment: any version, so that the newest received is taken at once."""

    def newer_than(self) -> Version | None:
        """See rollouts.actor.Pace."""
        return None

    def collected(self, version: Version) -> None:
        """See rollouts.actor.Pace."""


def actor(process: Process) -> None:
    """Act until told to stop."""
    act(process, IMPALAConfig.recorded(process.config), Newest())


def evaluator(process: Process) -> None:
    """Evaluate on a clock of its own."""
    evaluate(process, IMPALAConfig.recorded(process.config))
