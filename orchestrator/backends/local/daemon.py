"""The supervisor as a daemon: its start, from both sides, and its end.

`python -P -m surreal.orchestrator.backends.local.daemon` imports all that a supervisor needs beside its caller.
Then it is sent, over the socket that is its standard input, the folder of the run and the locked descriptor of
supervisor.lock, which stays locked for as long as the supervisor lives. It returns once that lives: 0, or 1 with the
reason on standard output. It ends with its caller where nothing is sent.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.supervision import os_process
from surreal.orchestrator.supervision.record import RunRecord
from surreal.protocol.errors import SurrealError

MODULE = "surreal.orchestrator.backends.local.daemon"
LIVES = b"lives"
"""Word of a supervisor that is ready, to the process that waits for it."""
LONGEST_PATH = 16 * 1024
"""Bytes of a path that are received; systems have 4,096 at most."""
GONE_SECONDS = 5.0
"""Seconds in which a process that was killed is gone."""
INTRODUCTION_SECONDS = 5.0
"""Seconds that a new supervisor has to write its pid into the record; beyond this it hangs."""


class Daemon:
    """A process that becomes the supervisor of one run. It starts at once, so that it is ready when the run is."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE],
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def supervise(self, folder: Folder, lock: int) -> None:
        """Hand the run and its lock over; returns once the supervisor lives. Raises SurrealError with its words if not.

        Call it once, and then `close`.
        """
        with suppress(ConnectionError):
            socket.send_fds(self._socket, [os.fsencode(folder.path)], [lock])
        said, _ = self._process.communicate()
        if code := self._process.returncode:
            words = said.decode(errors="replace").strip()
            raise SurrealError(
                f"{folder.name}: the supervisor of {folder.name} did not start (exit {code}). Read its words:\n{words}"
            )

    def close(self) -> None:
        """Give up a process that was not used."""
        self._socket.close()
        if self._process.poll() is None:
            self._process.kill()
        if self._process.stdout:
            self._process.stdout.close()
        self._process.wait()


def main() -> int:
    """Become the supervisor of the run that is sent; the exit status of the caller's process."""
    # Imports take most of a start, and nothing else here needs them.
    import surreal.orchestrator.backends.local.supervisor  # noqa: F401

    os.umask(0o077)
    with socket.socket(fileno=os.dup(0)) as caller:
        path, locks, _, _ = socket.recv_fds(caller, LONGEST_PATH, 1)
    if not locks:
        return 0
    os.set_inheritable(locks[0], False)
    folder = Folder(Path(os.fsdecode(path)))
    os.chdir(folder.path)
    heard, told = os.pipe()
    # the caller waits for the first process only; the second has no parent to leave a zombie with
    if os.fork() == 0:
        os.close(heard)
        _supervise(folder, told)
        os._exit(0)  # the lock is free at once: nothing is left to tear down
    os.close(told)
    with os.fdopen(heard, "rb") as pipe:
        words = pipe.read()
    if words == LIVES:
        return 0
    print(words.decode(errors="replace") or "it died without a word")
    return 1


def _supervise(folder: Folder, told: int) -> None:
    """Supervise the run, after having told the first process that all is ready, or why not."""
    # The caller imports this module too, and it needs no supervisor.
    from surreal.orchestrator.backends.local.supervisor import Supervisor

    try:
        _leave_terminal()
        supervisor = Supervisor(folder)
    except (SurrealError, OSError) as error:
        os.write(told, str(error).encode())
        return
    except Exception:
        os.write(told, traceback.format_exc().encode())
        return
    os.write(told, LIVES)
    os.close(told)
    supervisor.run()


def _leave_terminal() -> None:
    """Close what the caller waits on, and hear the signals that a caller in the background may have ignored."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def end_supervisor(folder: Folder, number: signal.Signals, seconds: float) -> bool:
    """Signal the supervisor and wait for its end; one that hangs is killed. False when none lives.

    Raises SurrealError where the run goes on all the same.
    """
    if not os_process.is_held(folder):
        return False
    pid, born = _introduced(folder)
    if pid and os_process.is_alive(pid, born):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        if os_process.wait_until_free(folder, seconds):
            return True
        os_process.kill(pid, born)
    if not os_process.wait_until_free(folder, GONE_SECONDS):
        why = f"its supervisor, pid {pid}, does not die" if pid else "something is at work on it that no file names"
        raise SurrealError(
            f"{folder.name}: the run was not ended: {why}. Try again; if that is no use, "
            f"end the process that this names: lsof {folder.lock}"
        )
    return True


def kill_leftovers(record: RunRecord) -> None:
    """End what a supervisor that was killed may have left: workers in their last two seconds, their sockets."""
    for process in record.processes:
        os_process.kill_group(process.pid, process.born)
    if record.sockets:
        shutil.rmtree(record.sockets, ignore_errors=True)


def _introduced(folder: Folder) -> tuple[int | None, str | None]:
    """Return the pid and birth of the supervisor, which a new one writes before its caller goes on.

    Where the record has none, or a dead one, it is the process that keeps the lock open; None if there is no such one.
    """
    deadline = time.monotonic() + INTRODUCTION_SECONDS
    while time.monotonic() < deadline:
        record = RunRecord.read(folder)
        if os_process.is_alive(record.supervisor, record.born):
            return record.supervisor, record.born
        if os_process.wait_until_free(folder, 0.05):
            return None, None
    return _holder(folder)


def _holder(folder: Folder) -> tuple[int | None, str | None]:
    # A supervisor stays small without it.
    import psutil

    path = os.path.realpath(folder.lock)
    for process in psutil.process_iter():
        # a command holds the lock too, for a moment, and is not to be killed
        with suppress(psutil.Error):
            if MODULE in process.cmdline() and path in [file.path for file in process.open_files()]:
                return process.pid, os_process.born(process.pid)
    return None, None


if __name__ == "__main__":
    sys.exit(main())
