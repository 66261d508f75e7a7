"""Rules for the exit of a process: pure functions, one table for every role and backend.

exit                    role that ends the run     other lasting role        expendable role
DONE                    the run succeeded (1)      retired                   retired (2)
PREEMPTED               again, not counted         again, not counted        again, not counted
FATAL, INVALID          the run failed             the run failed            failed if it feeds the run, else retired
STOPPED                 the run is stopped (1)     the run failed            failed if it feeds the run, else retired
anything else, signal   again, at most 10 times without progress             the same if it feeds the run, else always
the same, three times   the run failed, as long as it never made a step      the same if it feeds the run, else always

(1) Its first replica, which serves control, decides; another one is retired.
(2) If the run told it to end. A worker of an expendable role that returns earlier records a failure.

Only the worker's termination record makes an exit count. Without one, `outcome_of` calls every exit code a failure.

A retired process is not started again, unless the role that ends the run is. Progress is the run's: an actor may crash
for ever while others bring the run forward, but a run whose every actor crashes fails, instead of waiting all night.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from surreal.orchestrator.plan.model import Plan, PlannedRole
from surreal.protocol.errors import ExitCode
from surreal.protocol.worker.termination import TerminationMessage

FIRST_DELAY = 0.2
LONGEST_DELAY = 60.0
HEALTHY_SECONDS = 60.0
"""A process that lived this long starts its next back-off from the beginning."""
TRIES = 10
"""Failures of a process that the run needs, without any progress of the run, before the run fails."""
EQUAL_TRIES = 3
"""Equal failures of such a process before the first step of the run that are enough: another start would not help."""


class Verdict(Enum):
    """The reaction to the exit of a process."""

    AGAIN = auto()
    RETIRE = auto()
    SUCCEED = auto()
    STOP = auto()
    FAIL = auto()


@dataclass(frozen=True)
class Outcome:
    """The end of a process: its exit code (negative: a signal's number) and the cause, as far as known."""

    code: int
    cause: str = ""
    """One sentence; empty where there is nothing to say."""

    @property
    def kind(self) -> tuple[int, str]:
        """The key that equal failures share: numbers and addresses in the cause do not matter."""
        return self.code, re.sub(r"0x[0-9a-f]+|\d+", "#", self.cause)


@dataclass
class Backoff:
    """The failures of one process so far."""

    in_a_row: int = 0
    without_progress: int = 0
    equal: int = 0
    """Failures in a row of the same kind before the run's first step; 0 once it has made one."""
    kind: tuple[int, str] | None = None

    def count(self, lived: float, progressed: bool, outcome: Outcome | None = None, begun: bool = True) -> None:
        """Note one more failure, of a process that lived so many seconds, in a run that has `begun` to make steps."""
        self.in_a_row = 1 if lived >= HEALTHY_SECONDS or progressed else self.in_a_row + 1
        self.without_progress = 1 if progressed else self.without_progress + 1
        kind = outcome.kind if outcome and not begun else None
        self.equal = 0 if kind is None else self.equal + 1 if kind == self.kind else 1
        self.kind = kind

    @property
    def delay(self) -> float:
        """Seconds to wait before the next start."""
        return float(min(LONGEST_DELAY, FIRST_DELAY * 2 ** max(0, self.in_a_row - 1)))


def outcome_of(code: int, record: TerminationMessage | None) -> Outcome:
    """Return the meaning of an exit, given the termination record that the worker left, None if it left none.

    Foreign code can end a process with any status, so the codes of ours count only if the worker itself recorded them.
    A record outweighs the status: a library may crash, or exit with a status of its own, after the worker is done.
    """
    if record is None:
        if code < 0 or code not in {int(each) for each in ExitCode} - {ExitCode.FAILED}:
            return Outcome(code, "")
        return Outcome(ExitCode.FAILED, f"something in it ended the process with exit code {code}")
    return Outcome(record.code, "" if record.code is ExitCode.DONE else record.reason)


def decide(role: PlannedRole, code: int, feeds: bool, backoff: Backoff, index: int = 0) -> Verdict:
    """Return the verdict on an exit with `code` of replica `index`, its failure already counted in `backoff`."""
    if code == ExitCode.DONE:
        return Verdict.SUCCEED if role.ends_run and index == 0 else Verdict.RETIRE
    if code == ExitCode.PREEMPTED:
        return Verdict.AGAIN
    if code == ExitCode.STOPPED and role.ends_run and index == 0:
        return Verdict.STOP
    if code in (ExitCode.FATAL, ExitCode.INVALID, ExitCode.STOPPED):
        return Verdict.RETIRE if role.expendable and not feeds else Verdict.FAIL
    needed = feeds or not role.expendable
    hopeless = backoff.without_progress > TRIES or backoff.equal >= EQUAL_TRIES
    return Verdict.FAIL if needed and hopeless else Verdict.AGAIN


def feeds_the_run(plan: Plan, role: str) -> bool:
    """Return True if the run needs what this role sends or answers. It can do without telemetry, as an evaluator's."""
    sends = any(role in channel.frm and not channel.lossy for channel in plan.channels)
    return sends or any(channel.kind == "service" and role in channel.to for channel in plan.channels)


def describe(code: int) -> str:
    """Return how a process ended, in words: `killed (signal 9)`, `failed (exit 1)`."""
    if code < 0:
        return f"killed (signal {-code})"
    words = {
        ExitCode.DONE: "done",
        ExitCode.PREEMPTED: "preempted after its checkpoint",
        ExitCode.FATAL: "cannot go on",
        ExitCode.STOPPED: "stopped at a limit",
    }
    return f"{words.get(ExitCode(code), 'failed') if code in list(ExitCode) else 'failed'} (exit {code})"


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th, 11th, 21st."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
