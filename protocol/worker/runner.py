"""Playing a role: join the run, call the role's function, end as its outcome and the run ask for.

It stops on SIGTERM, SIGINT, a stop from the run, or the death of the supervisor that holds the other end of its
lifeline.
"""

import importlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic

from surreal.protocol.errors import ExitCode, Fatal, Stopping, SurrealError
from surreal.protocol.telemetry.gauges import PROGRESS_KEYS, gauge_name
from surreal.protocol.wiring import LIFELINE_VARIABLE, ORPHAN_GRACE_S, POD_STOP_GRACE_S, Wiring
from surreal.protocol.worker.log_shipping import LogShipper
from surreal.protocol.worker.object_store import ObjectStore, StoreError, fetch
from surreal.protocol.worker.pid1 import Tee
from surreal.protocol.worker.process import Process
from surreal.protocol.worker.pulse import EVERY_S, Pulse
from surreal.protocol.worker.store_sync import StoreSync
from surreal.protocol.worker.termination import TerminationMessage

log = logging.getLogger("surreal")

DRAIN_S = 10.0
"""Seconds that the end of a run waits for pods that are just starting."""
UPLOAD_GRACE_S = 8.0
"""Seconds for the last upload of a process that will be started again."""
EXIT_RESERVE_S = 1.5
"""Seconds that a stopped process needs after its last upload."""
Role = Callable[[Process], ExitCode | None]


def run_role(wiring: Wiring, tee: Tee | None) -> TerminationMessage:
    """Join the run and call the role's function until it returns; how it ended, which has been logged.

    `tee` is there in a pod, where nobody but us tells the others how the run ended. Raises SurrealError where the
    process cannot join.
    """
    keeper = _fetch(wiring) if wiring.store and wiring.serves_control else None
    with Process(wiring) as process:
        _hold_lifeline(process)
        if pulse := Pulse.inherited():
            process.every(EVERY_S, pulse.beat)
        uploads = keeper(process) if keeper else None
        shipping = _ship(process, tee) if tee else None
        ending = _call(process)
        if process.failure and ending.code is ExitCode.PREEMPTED:
            ending = replace(ending, exit=ExitCode.FATAL.name)
        why = f" ({ending.reason})" if ending.reason and process.stopping.is_set() else ""
        log.info("%s ends: %s%s", wiring.name, ending.exit.lower(), why)
        if tee and wiring.serves_control:
            _end_run(process, ending)
        elif tee and ending.code is ExitCode.FATAL:
            process.fatal = ending.reason
        if shipping:
            shipping.close()
        if uploads:
            ending = _store_last(process, uploads, ending)
    return ending


def _ship(process: Process, tee: Tee) -> LogShipper | None:
    """Begin to ship what is printed; where nobody wants it, the first process shall not copy it."""
    if process.wiring.logs:
        return LogShipper(process, tee)
    os.close(tee.copy)
    return None


def _fetch(wiring: Wiring) -> Callable[[Process], StoreSync]:
    """Bring what the store has of the run into its folder; what then keeps the store up to date.

    Raises Fatal where the store can never be used, or not by a run that has nothing to lose yet.
    """
    store, folder = ObjectStore(wiring.store), Path(wiring.run_folder)
    try:
        store.connect()
        same = fetch(store, folder)
    except StoreError as error:
        raise (Fatal(str(error)) if wiring.start <= 1 else error) from None
    return lambda process: StoreSync(store, folder, same, lambda row: process.gauges.set(wiring.name, row))


def _store_last(process: Process, uploads: StoreSync, ending: TerminationMessage) -> TerminationMessage:
    """ObjectStore what is not yet stored. A run whose results are lost with its pod is not done."""
    began, patient = monotonic(), ending.code is ExitCode.DONE
    complete = uploads.close(
        lambda: (
            process.stopping_for > POD_STOP_GRACE_S - EXIT_RESERVE_S
            or not patient
            and monotonic() - began > UPLOAD_GRACE_S
        )
    )
    if complete:
        return ending
    text = f"not everything of the run is stored at {process.wiring.store}"
    log.error("%s", text)
    return replace(ending, exit=ExitCode.FAILED.name, reason=f"the run is done, but {text}") if patient else ending


def _call(process: Process) -> TerminationMessage:
    """Call the role's function."""
    try:
        returned = _call_until_stopped(process)
        process.check_membership()  # turned away is not the same as stopped
    except SurrealError as error:
        log.error("%s", error)
        return TerminationMessage(error.exit_code.name, str(error))
    except Exception as error:
        log.exception("the role failed")
        return TerminationMessage(ExitCode.FAILED.name, f"{type(error).__name__}: {error}")
    # a run that goes on needs this process again; one that is over does not
    otherwise = ExitCode.PREEMPTED if process.preempted else ExitCode.DONE
    code = otherwise if returned is None else ExitCode(returned)
    return TerminationMessage(
        code.name, process.stop_reason, _progress(process) if process.wiring.serves_control else {}
    )


def _call_until_stopped(process: Process) -> ExitCode | None:
    if process.wiring.code:
        sys.path.append(process.wiring.code)
    try:
        _on_signals(lambda name: _interrupt(process, name))
        role = _import_role(process.wiring.run)
        _on_signals(process.stop)
        return role(process)
    except Stopping as stopping:
        log.info("stopped: %s", stopping)
        return None


def _on_signals(stop: Callable[[str], None]) -> None:
    """Call `stop` with the name of what would end this process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: stop(signal.Signals(received).name))


def _interrupt(process: Process, name: str) -> None:
    """End an import, which may take long and has nothing to lose."""
    process.stop(name)
    process.stopping.wait(1.0)
    raise Stopping(name)


def _import_role(run: str) -> Role:
    """The function that `package.module:function` names. Raises Fatal: another start would not find it either."""
    module, _, function = run.partition(":")
    try:
        role: Role = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        log.error("cannot import the role", exc_info=True)
        raise Fatal(f"cannot import {run}: {error}") from error
    return role


def _end_run(process: Process, ending: TerminationMessage) -> None:
    """Where this process's end is the run's, see to it that everybody hears of it."""
    if ending.code not in (ExitCode.DONE, ExitCode.FATAL):
        return
    failed = ending.code is ExitCode.FATAL
    process.stop_all(reason=f"the run failed: {ending.reason}" if failed else "the run is over")
    if missing := process.drain(DRAIN_S):
        log.info("%d processes have not started or not left: %s", len(missing), ", ".join(sorted(missing)[:10]))


def _progress(process: Process) -> dict[str, float]:
    """The newest of PROGRESS_KEYS: what this process counts, and what only others report."""
    gauges, wiring = process.gauges.values(), process.wiring
    newest: dict[str, float] = {}
    for key in PROGRESS_KEYS:
        for role in (wiring.role, *wiring.replicas):
            for value in gauges.get(gauge_name(role, key), {}).values():
                newest.setdefault(key, value)
    return newest


def _keep_printing() -> None:
    """Let the last words go nowhere: the supervisor read them, and a print into its closed pipe would raise."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _hold_lifeline(process: Process) -> None:
    """Stop this process when the supervisor's end of the pipe closes, by force if it does not stop by itself."""
    number = os.environ.pop(LIFELINE_VARIABLE, "")
    if not number:
        return
    lifeline = int(number)
    os.set_inheritable(lifeline, False)  # a child of this process must not keep it

    def wait_for_the_end() -> None:
        while os.read(lifeline, 1):
            pass
        _keep_printing()
        log.error("the supervisor is gone: stopping")
        process.stop("the supervisor is gone")
        time.sleep(ORPHAN_GRACE_S)
        os._exit(ExitCode.FAILED)

    threading.Thread(target=wait_for_the_end, name="surreal-lifeline", daemon=True).start()
