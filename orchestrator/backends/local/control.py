"""The supervisor from outside: to start it, to end it, and to end what a dead one left behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

from surreal.orchestrator.backends.local import os_process
from surreal.orchestrator.backends.local.record import RunRecord
from surreal.orchestrator.run.home import Folder
from surreal.protocol.errors import SurrealError

INTRODUCTION_SECONDS = 5.0
"""Seconds that a new supervisor has to write its pid into the record; beyond this it hangs."""


def start_supervisor(folder: Folder, lock: int) -> None:
    """Hand the lock over to a new supervisor; returns once it lives. Raises SurrealError with its words if not."""
    command = [sys.executable, "-P", "-m", "surreal.orchestrator.backends.local.daemon", str(folder.path), str(lock)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder.path,
        pass_fds=[lock],
        start_new_session=True,
        check=False,
    )
    if done.returncode:
        words = done.stdout.decode(errors="replace").strip()
        raise SurrealError(f"the supervisor of {folder.name} did not start (exit {done.returncode}):\n{words}")


def end_supervisor(folder: Folder, number: signal.Signals, seconds: float) -> bool:
    """Signal the supervisor and wait for its end; one that hangs is killed. False when none lives."""
    if not os_process.is_held(folder):
        return False
    record = _introduced(folder)
    if record.supervisor and os_process.is_alive(record.supervisor, record.born):
        with suppress(ProcessLookupError):
            os.kill(record.supervisor, number)
    if not os_process.wait_until_free(folder, seconds):
        os_process.kill(record.supervisor, record.born)
        os_process.wait_until_free(folder, seconds)
    return True


def kill_leftovers(record: RunRecord) -> None:
    """End what a supervisor that was killed may have left: workers in their last two seconds, their sockets."""
    for process in record.processes:
        os_process.kill_group(process.pid, process.born)
    if record.sockets:
        shutil.rmtree(record.sockets, ignore_errors=True)


def _introduced(folder: Folder) -> RunRecord:
    """Return the record with the supervisor's pid, which a new one writes before its caller goes on."""
    deadline = time.monotonic() + INTRODUCTION_SECONDS
    record = RunRecord.read(folder)
    while record.supervisor is None and time.monotonic() < deadline:
        if os_process.wait_until_free(folder, 0.05):
            break
        record = RunRecord.read(folder)
    return record
