"""What follows when a process exits: pure rules, one table for every role.

exit                    role that ends the run     other lasting role        expendable role
DONE                    the run succeeded          retired                   retired
PREEMPTED               again, not counted         again, not counted        again, not counted
FATAL, INVALID          the run failed             the run failed            failed if it feeds the run, else retired
anything else, signal   again, at most 10 times without progress             the same if it feeds the run, else always

A retired process is not started again, unless the role that ends the run is. Progress is the run's: an actor may crash
for ever while others bring the run forward, but a run whose every actor crashes fails, instead of waiting all night.
"""

from dataclasses import dataclass
from enum import Enum, auto

from surreal.orchestrator.plan.model import Plan, PlannedRole
from surreal.protocol.errors import ExitCode

FIRST_DELAY = 0.2
LONGEST_DELAY = 60.0
HEALTHY_SECONDS = 60.0
"""A process that lived this long starts its next back-off from the beginning."""
TRIES = 10
"""Failures of a process that the run needs, without any progress of the run, before the run fails."""


class Verdict(Enum):
    """What to do about an exited process."""

    AGAIN = auto()
    RETIRE = auto()
    SUCCEED = auto()
    FAIL = auto()


@dataclass
class Backoff:
    """The failures of one process so far."""

    in_a_row: int = 0
    without_progress: int = 0

    def count(self, lived: float, progressed: bool) -> None:
        """Note one more failure, of a process that lived so many seconds."""
        self.in_a_row = 1 if lived >= HEALTHY_SECONDS or progressed else self.in_a_row + 1
        self.without_progress = 1 if progressed else self.without_progress + 1

    @property
    def delay(self) -> float:
        """Seconds to wait before the next start."""
        return float(min(LONGEST_DELAY, FIRST_DELAY * 2 ** max(0, self.in_a_row - 1)))


def decide(role: PlannedRole, code: int, feeds: bool, backoff: Backoff) -> Verdict:
    """The verdict on an exit with `code` (negative: a signal's number), its failure already counted in `backoff`."""
    if code == ExitCode.DONE:
        return Verdict.SUCCEED if role.ends_run else Verdict.RETIRE
    if code == ExitCode.PREEMPTED:
        return Verdict.AGAIN
    if code in (ExitCode.FATAL, ExitCode.INVALID):
        return Verdict.RETIRE if role.expendable and not feeds else Verdict.FAIL
    needed = feeds or not role.expendable
    return Verdict.FAIL if needed and backoff.without_progress > TRIES else Verdict.AGAIN


def feeds_the_run(plan: Plan, role: str) -> bool:
    """Does the run need what this role sends? An evaluator sends nothing but telemetry, and the run can do without."""
    return any(role in channel.frm and not channel.lossy for channel in plan.channels)


def describe(code: int) -> str:
    """How a process ended, in words: `killed (signal 9)`, `failed (exit 1)`."""
    if code < 0:
        return f"killed (signal {-code})"
    words = {
        ExitCode.DONE: "done",
        ExitCode.PREEMPTED: "preempted after its checkpoint",
        ExitCode.FATAL: "cannot go on",
    }
    return f"{words.get(ExitCode(code), 'failed') if code in list(ExitCode) else 'failed'} (exit {code})"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
