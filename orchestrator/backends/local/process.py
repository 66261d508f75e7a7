"""One supervised process: its record, its back-off, its output, and the operating system's handle on it."""

import os
import resource
import signal
import subprocess
import time
from contextlib import suppress
from functools import partial

from surreal.orchestrator.backends.local import os_process
from surreal.orchestrator.backends.local.launcher import Launcher
from surreal.orchestrator.backends.local.log_pump import LogPump, LogWriter
from surreal.orchestrator.backends.local.record import ProcessRecord
from surreal.orchestrator.backends.restart_policy import Backoff, Outcome
from surreal.orchestrator.plan.model import PlannedRole
from surreal.protocol.errors import ExitCode
from surreal.protocol.worker.pulse import Watch

ABORT_SECONDS = 1.0
"""Seconds between SIGABRT, which prints the stacks of one that hangs, and SIGKILL."""
NO_DEADLINE = float("inf")


class ManagedProcess:
    """One (role, index) over all its attempts. Times are on the monotonic clock."""

    def __init__(self, role: PlannedRole, record: ProcessRecord) -> None:
        self.role = role
        self.record = record
        self.backoff = Backoff()
        self.watch = Watch()
        """The judgement of its pulse since it was started."""
        self.start_at: float | None = time.monotonic()
        """Time to start it; None when no start is planned."""
        self.hung = ""
        """The reason why the supervisor ended it; empty if it did not."""
        self.kill_at = NO_DEADLINE
        """Time to kill it if it hangs."""
        self.last_output = b""
        """The end of what the last attempt printed."""
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at: float | None = None
        self._output: int | None = None
        self._writer: LogWriter | None = None

    @property
    def name(self) -> str:
        """`actor/3`."""
        return self.record.name

    @property
    def lived(self) -> float:
        """Seconds since its last start."""
        return time.monotonic() - (self._started_at or 0.0)

    @property
    def is_running(self) -> bool:
        """True from its start until its exit has been seen."""
        return self._process is not None

    def before_start(self) -> None:
        """Take the next incarnation; the record must be on disk before `start`."""
        self.start_at = None
        self.record.incarnation += 1
        self.record.restarts += self._started_at is not None
        self._started_at, self.record.started = time.monotonic(), round(time.time(), 3)

    def start(self, launcher: Launcher, pump: LogPump) -> None:
        """Start the process. Raises OSError when the system cannot."""
        self.watch, self.hung, self.kill_at = Watch(), "", NO_DEADLINE
        path = partial(launcher.folder.process_log, self.record.role, self.record.index, self.record.incarnation)
        self._writer = LogWriter(path)
        self._output, theirs = pump.open(self._writer)
        try:
            self._process = launcher.start(self.role, self.record.index, self.record.incarnation, theirs)
        except OSError:
            self.close_output(pump)
            raise
        finally:
            os.close(theirs)
        self.record.state = "running"
        self.record.pid = self._process.pid
        self.record.born = os_process.born(self._process.pid)

    def reap(self, pump: LogPump) -> int | None:
        """Return the exit code (negative: a signal's number) if it has exited; its children are killed."""
        code = self._process.poll() if self._process else None
        if self._process is None or code is None:
            return None
        os_process.signal_group(self._process.pid, signal.SIGKILL)
        self.close_output(pump)
        self._process = self.record.pid = self.record.born = None
        self.kill_at = NO_DEADLINE
        return code

    def close_output(self, pump: LogPump) -> None:
        """Take in the last lines and close the pipe and the log."""
        if self._output is not None and self._writer is not None:
            pump.close(self._output)
            self.last_output = self._writer.tail
            self._output = None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children if it runs; one that waits for its restart is called off."""
        if self.start_at is not None:
            self.start_at = None
            self.record.state = "stopped"
        if self._process:
            os_process.signal_group(self._process.pid, number)

    def kill(self, pump: LogPump) -> None:
        """End it at once, with its children, and wait until it is gone."""
        self.send(signal.SIGKILL)
        if self._process:
            self._process.wait()
            self.reap(pump)
            self.record.state = "stopped"

    def abort(self, why: str) -> None:
        """End it because it hangs. Its log gets the stacks of its threads, if its fault handler can still print."""
        self.hung, self.kill_at = why, time.monotonic() + ABORT_SECONDS
        if self._process:
            with suppress(AttributeError, OSError):  # the stacks are wanted, not a core file; only Linux can say so
                resource.prlimit(self._process.pid, resource.RLIMIT_CORE, (0, 0))
            os.kill(self._process.pid, signal.SIGABRT)

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
