"""Process ids that are safe to keep: a pid is used only together with the moment its process was born.

The system gives pids away again, so a pid from a file alone may be a stranger's process.
"""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path


def born(pid: int) -> str | None:
    """A text that tells this process from any other that has or will have the same pid; None when it is dead."""
    return _born_linux(pid) if Path("/proc/self/stat").exists() else _born_ps(pid)


def is_alive(pid: int | None, birth: str | None) -> bool:
    """Does the very process that was `born` then still run?"""
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
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    return None if state in "ZX" else f"{boot}-{ticks_since_boot}"


def _born_ps(pid: int) -> str | None:
    # the same words whoever asks, wherever they are
    env = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()
