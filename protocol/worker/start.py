"""Start of a worker, before its role is imported.

In a pod this is PID 1, which runs the role in a child (`pid1.py`), so nothing here takes long to import.
"""

import faulthandler
import io
import logging
import os
import resource
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from surreal.protocol.errors import ExitCode, Fatal, SurrealError
from surreal.protocol.wiring import Wiring
from surreal.protocol.worker.pod import crash
from surreal.protocol.worker.pod.hang import HangWatch
from surreal.protocol.worker.pod.identity import draw_session, in_pod, with_pod_identity
from surreal.protocol.worker.pod.pid1 import FORWARDED, Tee, run_as_pid1
from surreal.protocol.worker.pulse import START_S
from surreal.protocol.worker.signals import limit_exit
from surreal.protocol.worker.termination import TerminationMessage

log = logging.getLogger("surreal")

FLUSH_S = 0.2
"""Longest time that a line without an end is held."""
MANY_FILES = 65_536
"""Open files to ask for where the system names no limit."""


def start(arguments: list[str]) -> int:
    """Run the worker on its arguments; return its exit status. The caller has blocked the signals of FORWARDED."""
    _print_whole_lines()
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s.%(msecs)03d %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    if len(arguments) != 1:
        log.error("usage: python -P -m surreal.protocol.worker WIRING.json")
        return ExitCode.INVALID
    path = Path(arguments[0]).absolute()
    if in_pod(os.environ):
        draw_session()
        return run_as_pid1(lambda tee: _work(path, tee), lambda *end: _write_end(path, *end), _hang_watch(path))
    return _work(path, None)


def _print_whole_lines() -> None:
    """Have a line that is printed be one write, its end too, and one without an end be written soon.

    An unbuffered Python writes the end of a line by itself, and another thread's line comes between. A process that
    dies or hangs has its last words out all the same.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, write_through=False)
            threading.Thread(target=_flush_at_times, args=(stream,), name="surreal-print", daemon=True).start()


def _flush_at_times(stream: io.TextIOWrapper) -> None:
    # role code may close it, or take its buffer away
    with suppress(ValueError, OSError):
        while not stream.closed:
            time.sleep(FLUSH_S)
            stream.flush()


def _work(path: Path, tee: Tee | None) -> ExitCode:
    """Run the role that the wiring names, record how that ended, and return the exit status.

    Only the record makes a status count: foreign code can end a process with any.
    """
    faulthandler.enable()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    _allow_connections()
    wiring = None
    # PID 1 reads one record: whichever thread ends the process first writes it, and the other never gets this lock.
    recording = threading.Lock()
    try:
        wiring = read_wiring(path)
        from surreal.protocol.worker.runner import run_role

        termination = Path(wiring.termination) if wiring.termination else None

        def exit_now(ended: TerminationMessage) -> None:
            recording.acquire()
            _record(ended, termination, tee)
            os._exit(ended.code)

        message = run_role(wiring, tee, exit_now)
    except SurrealError as error:
        log.error("%s", error)
        message = TerminationMessage(error.exit_code.name, str(error))
    except Exception as error:
        log.exception("the process failed")
        message = TerminationMessage(ExitCode.FAILED.name, repr(error))
    recording.acquire()
    _record(message, Path(wiring.termination) if wiring and wiring.termination else None, tee)
    limit_exit(message.code)
    return message.code


def _record(message: TerminationMessage, path: Path | None, tee: Tee | None) -> None:
    """Write how the role ended: to its file for the supervisor, and to the pipe of PID 1 in a pod."""
    with suppress(OSError):
        if tee:
            os.write(tee.outcome, message.line().encode())
    with suppress(OSError):
        if path:
            message.write(path)


def _hang_watch(path: Path) -> HangWatch:
    """Return the watch over a worker with this wiring. What is wrong with a wiring, the worker says."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        wiring = Wiring.read(path)
        # one that first fetches the files of the run from a store may take hours
        return HangWatch(wiring.hang_seconds, float("inf") if wiring.store else START_S)
    return HangWatch(0.0)


def _write_end(path: Path, message: TerminationMessage, untold: bool) -> ExitCode | None:
    """Write how a worker ended that could not write it itself; return the exit status if that is another by now."""
    code = None
    with suppress(OSError, ValueError, KeyError, TypeError, SurrealError):
        wiring = Wiring.read(path)
        if untold and message.code is ExitCode.FAILED:
            judged = crash.judge(wiring, message)
            message, code = judged, None if judged is message else judged.code
        termination = Path(wiring.termination)
        if termination.name and not (termination.exists() and termination.read_bytes()):
            message.write(termination)
    return code


def read_wiring(path: Path) -> Wiring:
    """Return the wiring of this very process. Raises Fatal for a file of another version."""
    try:
        wiring = Wiring.read(path).absolute()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Fatal(
            f"{path}: is no wiring of this version of surreal: {error!r}. Start the run with this version."
        ) from error
    # All pods of a role read one file.
    return with_pod_identity(wiring, os.environ) if in_pod(os.environ) else wiring


def _allow_connections() -> None:
    """Raise the limit of open files to the hard limit.

    A bound port has a descriptor for each peer, and the usual 1,024 (macOS: 256) are too few for a thousand actors.
    Beyond the limit libzmq leaves peers waiting without a word.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # what is left is the system's default
        resource.setrlimit(resource.RLIMIT_NOFILE, (MANY_FILES if most == resource.RLIM_INFINITY else most, most))
