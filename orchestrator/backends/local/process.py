"""One supervised process: its record, its back-off, its output, and the operating system's handle on it."""

import os
import resource
import signal
import subprocess
import time
from contextlib import suppress
from functools import partial

from surreal.orchestrator.backends.local.launcher import Launcher
from surreal.orchestrator.plan.model import PlannedRole
from surreal.orchestrator.supervision import os_process
from surreal.orchestrator.supervision.log_pump import LogPump, LogWriter
from surreal.orchestrator.supervision.process import SupervisedProcess
from surreal.orchestrator.supervision.record import ProcessRecord
from surreal.protocol.worker.pulse import Watch

ABORT_SECONDS = 1.0
"""Seconds between SIGABRT, which prints the stacks of one that hangs, and SIGKILL."""
NO_DEADLINE = float("inf")


class ManagedProcess(SupervisedProcess):
    """One (role, index) over all its attempts. Times are on the monotonic clock."""

    def __init__(self, role: PlannedRole, record: ProcessRecord) -> None:
        super().__init__(role, record)
        self.watch = Watch()
        """The judgement of its pulse since it was started."""
        self.parked = False
        """The run goes on without it for now."""
        self.kill_at = NO_DEADLINE
        """Time to kill it if it hangs."""
        self._process: subprocess.Popen[bytes] | None = None
        self._output: int | None = None
        self._writer: LogWriter | None = None

    @property
    def is_running(self) -> bool:
        """True from its start until its exit has been seen."""
        return self._process is not None

    def park(self) -> None:
        """Keep it from starting until the run needs it."""
        self.parked, self.start_at, self.record.state = True, None, "pending"

    def unpark(self) -> None:
        """Start it now; one that still retires starts again when it has ended."""
        self.parked = False
        if not self.is_running:
            self.start_at = time.monotonic()

    def retire(self, number: signal.Signals) -> None:
        """Have it end by itself once its work is handed over, and park it."""
        self.parked = True
        self.start_at = None
        if self._process:
            os.kill(self._process.pid, number)
        else:
            self.record.state = "pending"

    def after_retiring(self) -> None:
        """Note that it has ended: it stays parked, or starts again if it is needed anew."""
        self.record.state, self.record.reason = "pending", ""
        self.start_at = None if self.parked else time.monotonic()

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
        self.call_off()
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
