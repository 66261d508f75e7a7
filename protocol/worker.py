"""The process that a backend starts: `python -P -m surreal.protocol.worker WIRING.json`.

Reads its wiring, joins the run and calls the role's function; its exit status is an ExitCode. It stops on SIGTERM,
SIGINT, a stop from the run, or the death of the supervisor that holds the other end of its lifeline.
"""

import faulthandler
import importlib
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from surreal.protocol.errors import ExitCode, Fatal, Stopping, SurrealError
from surreal.protocol.pod import placed
from surreal.protocol.process import Process
from surreal.protocol.wiring import Wiring

log = logging.getLogger("surreal")

LIFELINE = "SURREAL_LIFELINE"
"""Environment variable with the number of an inherited pipe's read end, which closes when the supervisor dies."""
MANY_FILES = 65_536
"""Open files to ask for where the system names no limit."""
ORPHAN_GRACE = 2.0
"""Seconds that an orphan has to end by itself."""

Role = Callable[[Process], ExitCode | None]


def main(arguments: list[str] | None = None) -> int:
    """Run the worker; its exit status."""
    faulthandler.enable()
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s.%(msecs)03d %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        log.error("usage: python -P -m surreal.protocol.worker WIRING.json")
        return ExitCode.INVALID
    _allow_connections()
    try:
        return _run(Path(arguments[0]))
    except SurrealError as error:
        log.error("%s", error)
        return error.exit_code
    except Exception:
        log.exception("the role failed")
        return ExitCode.FAILED


def _allow_connections() -> None:
    """Raise the limit of open files: a bound port has one for each peer, and the usual 1,024 (macOS: 256) are too few
    for a thousand actors. Beyond the limit libzmq leaves peers waiting without a word."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # what is left is the system's default
        resource.setrlimit(resource.RLIMIT_NOFILE, (MANY_FILES if most == resource.RLIM_INFINITY else most, most))


def _run(path: Path) -> ExitCode:
    """Join the run and call the role's function until it returns."""
    wiring = placed(_read_wiring(path), os.environ)
    with Process(wiring) as process:
        _hold_lifeline(process)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: process.stop(signal.Signals(received).name))
        if wiring.code:
            sys.path.append(wiring.code)
        try:
            returned = _import_role(wiring.run)(process)
        except Stopping as stopping:
            process.check_membership()  # turned away is not the same as stopped
            log.info("stopped: %s", stopping)
            returned = None
        # a run that goes on needs this process again; one that is over does not
        otherwise = ExitCode.PREEMPTED if process.preempted else ExitCode.DONE
        result = otherwise if returned is None else ExitCode(returned)
    log.info("%s ends: %s", wiring.name, result.name.lower())
    return result


def _read_wiring(path: Path) -> Wiring:
    try:
        return Wiring.read(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Fatal(f"{path} is no wiring of this version of surreal: {error!r}") from error


def _import_role(run: str) -> Role:
    """The function that `package.module:function` names. Raises Fatal: another start would not find it either."""
    module, _, function = run.partition(":")
    try:
        role: Role = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        log.error("cannot import the role", exc_info=True)
        raise Fatal(f"cannot import {run}: {error}") from error
    return role


def _hold_lifeline(process: Process) -> None:
    """Stop this process when the supervisor's end of the pipe closes, by force if it does not stop by itself."""
    number = os.environ.pop(LIFELINE, "")
    if not number:
        return
    lifeline = int(number)
    os.set_inheritable(lifeline, False)  # a child of this process must not keep it

    def wait_for_the_end() -> None:
        while os.read(lifeline, 1):
            pass
        log.error("the supervisor is gone: stopping")
        process.stop("the supervisor is gone")
        time.sleep(ORPHAN_GRACE)
        os._exit(ExitCode.FAILED)

    threading.Thread(target=wait_for_the_end, name="surreal-lifeline", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
