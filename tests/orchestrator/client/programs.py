"""A toy algorithm of one's own, with functions as roles: what an author writes beside an experiment."""

from surreal import Algorithm, Config, Process, Role, Stream
from surreal.protocol.errors import ExitCode


class Settings(Config):
    """Hyperparameters of the toy."""

    total_steps: int = 50
    """Steps until the run is over; 0 trains for ever."""


def learner(process: Process) -> ExitCode:
    """Count steps until there are enough, or until the end."""
    steps, total = 0, process.wiring.config["total_steps"]
    while not total or steps < total:
        if process.stopping.wait(0.005):
            return ExitCode.PREEMPTED
        steps += 1
    return ExitCode.DONE


def actor(process: Process) -> None:
    """Wait for the end."""
    process.stopping.wait()


TOY = Algorithm(
    "toy",
    Settings,
    (
        Role("learner", learner, ends_run=True, cpu=0.1, memory="64Mi"),
        Role("actor", actor, expendable=True, cpu=0.1, memory="64Mi"),
    ),
    (Stream("experience", "actor", "learner"),),
)
