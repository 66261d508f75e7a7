"""The crash of a worker that could not tell of it: killed by a signal, ended by foreign code, or ended because it hung.

PID 1 acts for it. The run hears of it as of an exception, so that three equal crashes before the first step fail it.
"""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

from surreal.protocol.errors import ExitCode, SurrealError
from surreal.protocol.wiring import Wiring
from surreal.protocol.worker.pod.identity import failures_before, with_pod_identity
from surreal.protocol.worker.termination import EQUAL_CRASHES, TerminationMessage

TELL_S = 5
"""Seconds that telling the run may take, JOIN_S of a member among them."""


def fatal(reason: str, begun: bool) -> TerminationMessage | None:
    """Return the message of a crash of the process that serves control after which another start is of no use.

    That is its third failure in a run that has never made a step, as `begun` says; None for any other crash.
    """
    if begun or failures_before(os.environ) < EQUAL_CRASHES - 1:
        return None
    tried = f"failed {EQUAL_CRASHES} times before the first step, at last: {reason}"
    return TerminationMessage(ExitCode.FATAL.name, tried)


def judge(wiring: Wiring, message: TerminationMessage) -> TerminationMessage:
    """Return the message to leave for a worker that crashed; the run is told. Raises SurrealError."""
    wiring = with_pod_identity(wiring, os.environ)
    if wiring.serves_control:
        return fatal(message.reason, _begun(Path(wiring.run_folder))) or message
    _tell_in_child(wiring, message.reason)
    return message


def _begun(folder: Path) -> bool:
    """Return True if the files of a run say that it has made a step."""
    saved = folder / "checkpoints"
    if saved.is_dir() and any(saved.iterdir()):
        return True
    try:
        return bool(json.loads((folder / "progress.json").read_bytes())["steps"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _tell_in_child(wiring: Wiring, reason: str) -> None:
    """Tell the run from a process of its own: what that imports may be what crashed the worker."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    # the system ends it where it takes too long
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(TELL_S)
    try:
        _tell(wiring, reason)
    finally:
        os._exit(0)


def _tell(wiring: Wiring, reason: str) -> None:
    from surreal.protocol.worker.session import Session

    with suppress(SurrealError), Session(wiring) as session:
        session.crashed = reason
