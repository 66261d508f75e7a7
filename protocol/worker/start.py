"""Starting a worker: what is decided before its role is imported. In a pod this is PID 1, which plays the role in a
child (`first.py`), so nothing here takes long to import.
"""

import faulthandler
import logging
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

from surreal.protocol.errors import ExitCode, Fatal, SurrealError
from surreal.protocol.wiring import Wiring
from surreal.protocol.worker.pid1 import FORWARDED, Tee, run_as_pid1
from surreal.protocol.worker.pod_identity import in_pod, with_pod_identity
from surreal.protocol.worker.termination import TerminationMessage

log = logging.getLogger("surreal")

MANY_FILES = 65_536
"""Open files to ask for where the system names no limit."""


def start(arguments: list[str]) -> int:
    """Run the worker on its arguments; its exit status. The signals of FORWARDED are blocked, so that none is lost."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s.%(msecs)03d %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    if len(arguments) != 1:
        log.error("usage: python -P -m surreal.protocol.worker WIRING.json")
        return ExitCode.INVALID
    path = Path(arguments[0])
    if in_pod(os.environ):
        return run_as_pid1(lambda tee: _work(path, tee), lambda ending: _leave(ending, path))
    return _work(path, None)


def _work(path: Path, tee: Tee | None) -> ExitCode:
    """Play the role that the wiring names, and leave word of how that ended."""
    faulthandler.enable()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    _allow_connections()
    wiring = None
    try:
        wiring = with_pod_identity(_read_wiring(path), os.environ)
        from surreal.protocol.worker.runner import run_role

        ending = run_role(wiring, tee)
    except SurrealError as error:
        log.error("%s", error)
        ending = TerminationMessage(error.exit_code.name, str(error))
    except Exception as error:
        log.exception("the process failed")
        ending = TerminationMessage(ExitCode.FAILED.name, repr(error))
    if wiring and wiring.termination:
        with suppress(OSError):
            ending.write(Path(wiring.termination))
    return ending.code


def _leave(ending: TerminationMessage, path: Path) -> None:
    """Keep how a worker ended that cannot have said so itself."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        termination = Path(Wiring.read(path).termination)
        if termination.name and not (termination.exists() and termination.read_bytes()):
            ending.write(termination)


def _read_wiring(path: Path) -> Wiring:
    try:
        return Wiring.read(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Fatal(f"{path} is no wiring of this version of surreal: {error!r}") from error


def _allow_connections() -> None:
    """Raise the limit of open files: a bound port has one for each peer, and the usual 1,024 (macOS: 256) are too few
    for a thousand actors. Beyond the limit libzmq leaves peers waiting without a word."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # what is left is the system's default
        resource.setrlimit(resource.RLIMIT_NOFILE, (MANY_FILES if most == resource.RLIM_INFINITY else most, most))
