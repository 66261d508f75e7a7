"""One supervised process: its record, its back-off, and the operating system's handle on it."""

import signal
import subprocess
import time

from surreal.orchestrator.backends.local import os_process as pids
from surreal.orchestrator.backends.local.launcher import Launcher
from surreal.orchestrator.backends.local.record import ProcessRecord
from surreal.orchestrator.backends.restart_policy import Backoff
from surreal.orchestrator.plan.model import PlannedRole
from surreal.protocol.errors import ExitCode


class Member:
    """One (role, index) over all its attempts. Times are on the monotonic clock."""

    def __init__(self, role: PlannedRole, record: ProcessRecord) -> None:
        self.role = role
        self.record = record
        self.backoff = Backoff()
        self.start_at: float | None = time.monotonic()
        """When to start it; None when that is not planned."""
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at: float | None = None

    @property
    def name(self) -> str:
        """`actor/3`."""
        return self.record.name

    @property
    def is_running(self) -> bool:
        """Has it been started and not yet been seen to exit?"""
        return self._process is not None

    def before_start(self) -> None:
        """Take the next incarnation; the record must be on disk before `start`."""
        self.start_at = None
        self.record.incarnation += 1
        self.record.restarts += self._started_at is not None
        self._started_at = time.monotonic()

    def start(self, launcher: Launcher) -> None:
        """Start the process. Raises OSError when the system cannot."""
        self._process = launcher.start(self.role, self.record.index, self.record.incarnation)
        self.record.state = "running"
        self.record.pid = self._process.pid
        self.record.born = pids.born(self._process.pid)

    def reap(self) -> int | None:
        """The exit code (negative: a signal's number) if it has exited since the last call; its children are killed."""
        code = self._process.poll() if self._process else None
        if self._process is None or code is None:
            return None
        pids.signal_group(self._process.pid, signal.SIGKILL)
        self._process = self.record.pid = self.record.born = None
        return code

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children if it runs; one that waits for its restart is called off."""
        if self.start_at is not None:
            self.start_at = None
            self.record.state = "stopped"
        if self._process:
            pids.signal_group(self._process.pid, number)

    def kill(self) -> None:
        """End it at once, with its children, and wait until it is gone."""
        self.send(signal.SIGKILL)
        if self._process:
            self._process.wait()
            self.reap()
            self.record.state = "stopped"

    def count(self, code: int, progressed: bool) -> None:
        """Note an exit; only failures count."""
        if code not in (ExitCode.DONE, ExitCode.PREEMPTED):
            self.backoff.count(time.monotonic() - (self._started_at or 0.0), progressed)

    def schedule(self) -> None:
        """Plan the next start after the back-off."""
        self.record.state = "restarting"
        self.start_at = time.monotonic() + self.backoff.delay

    def start_again_if_done(self) -> None:
        """Plan a start at once for one that had ended by itself."""
        if self.record.state == "done":
            self.record.state = "restarting"
            self.start_at = time.monotonic()
