"""One supervised process as the judgement of its exits sees it, wherever it runs."""

import signal
import time
from abc import ABC, abstractmethod

from surreal.orchestrator.backends.restart_policy import Backoff, Outcome
from surreal.orchestrator.plan.model import PlannedRole
from surreal.orchestrator.supervision.record import ProcessRecord
from surreal.protocol.errors import ExitCode

EVALUATOR_DELAY_S = 1.0
"""Time after the start of a run at which evaluators are started."""


class SupervisedProcess(ABC):
    """One (role, index) over all its attempts. Times are on the monotonic clock."""

    def __init__(self, role: PlannedRole, record: ProcessRecord) -> None:
        self.role = role
        self.record = record
        self.backoff = Backoff()
        # There is nothing to evaluate before the others began: they get the cores for their imports.
        self.start_at: float | None = time.monotonic() + (EVALUATOR_DELAY_S if role.evaluates else 0.0)
        """Time to start it; None when no start is planned."""
        self.hung = ""
        """The reason why the supervisor ended it; empty if it did not."""
        self.last_output = b""
        """The end of what the last attempt printed."""
        self._started_at: float | None = None

    @property
    def name(self) -> str:
        """`actor/3`."""
        return self.record.name

    @property
    def lived(self) -> float:
        """Seconds since its last start."""
        return time.monotonic() - (self._started_at or 0.0)

    @property
    @abstractmethod
    def is_running(self) -> bool:
        """True from its start until its exit has been seen."""

    @abstractmethod
    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children if it runs; one that waits for its restart is called off."""

    def before_start(self) -> None:
        """Take the next incarnation; the record must be on disk before the start."""
        self.start_at = None
        self.record.incarnation += 1
        self.record.restarts += self._started_at is not None
        self._started_at, self.record.started = time.monotonic(), round(time.time(), 3)

    def call_off(self) -> None:
        """Call off a start that is planned."""
        if self.start_at is not None:
            self.start_at = None
            self.record.state = "stopped"

    def count(self, outcome: Outcome, progressed: bool, begun: bool) -> None:
        """Note an exit; only failures count."""
        if outcome.code not in (ExitCode.DONE, ExitCode.PREEMPTED):
            self.backoff.count(self.lived, progressed, outcome, begun)

    def schedule(self) -> None:
        """Plan the next start after the back-off."""
        self.record.state = "restarting"
        self.start_at = time.monotonic() + self.backoff.delay

    def start_again_if_done(self) -> None:
        """Plan a start at once for one that had ended by itself."""
        if self.record.state == "done":
            self.record.state = "restarting"
            self.start_at = time.monotonic()
