"""Process ids that are safe to keep: a pid is used only together with the moment its process was born.

The system gives pids away again, so a pid from a file alone may be a stranger's process.
"""

import fcntl
import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.supervision.log_pump import LogPump
from surreal.protocol.machine import boot_id

LONGEST_POLL_MS = 60_000
PUMP_SECONDS = 0.02
"""Seconds for which output of processes gathers before it is written down."""


def born(pid: int) -> str | None:
    """Return a text that tells this process from any other that has or will have the same pid; None when it is dead."""
    return _born_linux(pid) if Path("/proc/self/stat").exists() else _born_ps(pid)


def is_alive(pid: int | None, birth: str | None) -> bool:
    """Return whether the very process that was `born` then still runs."""
    return pid is not None and birth is not None and born(pid) == birth


def kill(pid: int | None, birth: str | None) -> None:
    """SIGKILL this one process; nothing happens when it is dead or its pid is another's now."""
    if pid is not None and is_alive(pid, birth):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_group(pid: int | None, birth: str | None) -> None:
    """SIGKILL the group that this process leads; nothing happens when it is dead or its pid is another's now."""
    if pid is not None and is_alive(pid, birth):
        signal_group(pid, signal.SIGKILL)


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a group of ours, whether or not anyone is left in it (macOS says EPERM for a group of dead)."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _born_linux(pid: int) -> str | None:
    try:
        # the command's name stands in parentheses and may hold anything, so count from the last one
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None
    state, ticks_since_boot = fields[0], fields[19]
    return None if state in "ZX" else f"{boot_id()[:8]}-{ticks_since_boot}"


def _born_ps(pid: int) -> str | None:
    # the same words for every user, in every language and time zone
    env = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


POLL_SECONDS = 0.02


def acquire(folder: Folder, timeout: float = 0.0) -> int | None:
    """Take the lock of a run, as `lock` does."""
    return lock(folder.lock, timeout)


def is_held(folder: Folder) -> bool:
    """Return whether a supervisor lives."""
    return is_locked(folder.lock)


def lock(path: Path, timeout: float = 0.0) -> int | None:
    """Take a lock: a descriptor that holds it until it is closed everywhere. None if another has it for so long."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
        time.sleep(POLL_SECONDS)


def is_locked(path: Path) -> bool:
    """Return whether a process holds a lock. Writes nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # a shared lock, so that two who ask at once do not mistake each other for the supervisor
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def wait_until_free(folder: Folder, timeout: float) -> bool:
    """Wait so many seconds for the supervisor's end; False if it still lives then."""
    deadline = time.monotonic() + timeout
    while is_held(folder):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


class Wakeup:
    """Listens to SIGTERM (stop), SIGINT (abort) and SIGCHLD from its creation on, in the main thread."""

    def __init__(self) -> None:
        self.stop_asked = False
        self.abort_asked = False
        self._readable, written_by_signals = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(written_by_signals, False)
        signal.set_wakeup_fd(written_by_signals, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, self._note)

    def sleep_until(self, moment: float, pump: LogPump) -> None:
        """Sleep until a signal, or this moment on the monotonic clock; meanwhile write down what processes print."""
        poll = select.poll()
        poll.register(self._readable, select.POLLIN)
        pump.register(poll)
        woken = False
        while not woken and (left := moment - time.monotonic()) > 0:
            ready = [descriptor for descriptor, _ in poll.poll(min(left * 1000, LONGEST_POLL_MS))]
            woken = self._readable in ready
            for descriptor in ready:
                if descriptor != self._readable and not pump.take(descriptor):
                    poll.unregister(descriptor)
            if ready and not woken:
                time.sleep(PUMP_SECONDS)
        with suppress(BlockingIOError):
            while os.read(self._readable, 4096):
                pass

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.stop_asked |= number == signal.SIGTERM
        self.abort_asked |= number == signal.SIGINT
