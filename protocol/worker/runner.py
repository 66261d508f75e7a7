"""Runner of a role: join the run, call the role's function, and report its outcome.

The role stops on SIGTERM, SIGINT, a stop from the run, or the death of the supervisor, which closes the lifeline. Code
of the role is foreign: only the return or the exception of its function decides how the process ends.
"""

import importlib
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic

from surreal.protocol.errors import ExitCode, Fatal, Stopping, SurrealError
from surreal.protocol.telemetry.gauges import PROGRESS_KEYS, gauge_name
from surreal.protocol.wiring import LIFELINE_VARIABLE, ORPHAN_GRACE_S, POD_STOP_GRACE_S, Wiring
from surreal.protocol.worker.guard.limits import LimitWatch, tell_of_end
from surreal.protocol.worker.log_shipping import LogShipper
from surreal.protocol.worker.object_store import ObjectStore, StoreError, fetch
from surreal.protocol.worker.pod import crash
from surreal.protocol.worker.pod.beginning import begin_at_checkpoint
from surreal.protocol.worker.pod.pid1 import Tee
from surreal.protocol.worker.process import Process
from surreal.protocol.worker.session import Session
from surreal.protocol.worker.signals import CHECK_INTERVAL_S, RETIRE_SIGNAL, SignalWatch, reset_in_children
from surreal.protocol.worker.store_sync import StoreSync
from surreal.protocol.worker.termination import TerminationMessage, leave_outcome

log = logging.getLogger("surreal")

DRAIN_S = 10.0
"""Time that the end of a run waits for pods that are just starting."""
UPLOAD_GRACE_S = 8.0
"""Time for the last upload of a process that will be started again."""
EXIT_RESERVE_S = 1.5
"""Time that a stopped process needs after its last upload."""
EARLY_RETURN_GRACE_S = 3.0
"""Time that a role which returned waits for the word that the run is over, before the return counts as a crash."""
LEAVE_S = 1.2
"""Time that a stopped process has to leave the run. A lookup of a peer's name that is gone blocks libzmq."""

Role = Callable[[Process], ExitCode | None]
ExitNow = Callable[[TerminationMessage], object]


def run_role(wiring: Wiring, tee: Tee | None, exit_now: ExitNow) -> TerminationMessage:
    """Join the run, call the role's function until it returns, and return how it ended, which has been logged.

    `tee` is set in a pod, where this process alone tells the others how the run ended. `exit_now` records the end and
    ends the process, for one that cannot leave in time. Raises SurrealError if the process cannot join.
    """
    begin_sync = _fetch(wiring) if wiring.store and wiring.serves_control else None
    if wiring.start_archive and wiring.serves_control:
        begin_at_checkpoint(wiring)
    with Session(wiring) as session:
        _watch_lifeline(session)
        sync = begin_sync(session) if begin_sync else None
        shipper = _ship(Process(session), tee) if tee else None
        watch = LimitWatch(session, exit_now) if wiring.serves_control else None
        message = _call(session)
        if watch:
            message = watch.judge(message)
        if session.failure and message.code is ExitCode.PREEMPTED:
            message = replace(message, exit=ExitCode.FATAL.name)
        if tee and message.code is ExitCode.FAILED:
            message = _judge_crash(session, message)
        why = f" ({message.reason})" if message.reason and session.stopping.is_set() else ""
        log.info("%s ends: %s%s", wiring.name, message.exit.lower(), why)
        if session.stopping.is_set() and not wiring.serves_control and not session.retiring:
            _limit_leaving(lambda: exit_now(message))
        if tee and wiring.serves_control:
            leave_outcome(Path(wiring.run_folder), message)
        _tell_run(session, message, in_pod=tee is not None)
        if shipper:
            shipper.close()
        if sync:
            message = _store_last(session, sync, message)
        if tee and wiring.serves_control:
            tell_of_end(session, message)
    return message


def _limit_leaving(exit_now: Callable[[], object]) -> None:
    def end() -> None:
        time.sleep(LEAVE_S)
        exit_now()

    threading.Thread(target=end, name="surreal-leave", daemon=True).start()


def _ship(process: Process, tee: Tee) -> LogShipper | None:
    """Begin to ship the output of this process. If the run keeps no logs, have PID 1 stop copying it."""
    if process.wiring.logs:
        return LogShipper(process, tee)
    os.close(tee.copy)
    return None


def _fetch(wiring: Wiring) -> Callable[[Session], StoreSync]:
    """Fetch the run's files from the store into its folder; return a function that begins to keep the store in sync.

    Raises Fatal if the store can never be used, or cannot be used by a run that has nothing to lose yet.
    """
    store, folder = ObjectStore(wiring.store), Path(wiring.run_folder)
    try:
        store.connect()
        same = fetch(store, folder)
    except StoreError as error:
        raise (Fatal(str(error)) if wiring.start <= 1 else error) from None
    return lambda session: StoreSync(store, folder, same, lambda row: session.gauges.set(wiring.name, row))


def _store_last(session: Session, sync: StoreSync, message: TerminationMessage) -> TerminationMessage:
    """Upload the remaining files. If that fails, a run that is done has FAILED: its results die with the pod."""
    began, done = monotonic(), message.code is ExitCode.DONE

    def give_up() -> bool:
        if session.stopping_for > POD_STOP_GRACE_S - EXIT_RESERVE_S:
            return True
        return not done and monotonic() - began > UPLOAD_GRACE_S

    if sync.close(give_up):
        return message
    text = f"not everything of the run is stored at {session.wiring.store}"
    log.error("%s", text)
    return replace(message, exit=ExitCode.FAILED.name, reason=f"the run is done, but {text}") if done else message


def _judge_crash(session: Session, message: TerminationMessage) -> TerminationMessage:
    """Return the message of a crash in a pod: FATAL for the third failure of a process whose run never made a step."""
    if not session.wiring.serves_control:
        session.crashed = message.reason
        return message
    return crash.fatal(message.reason, session.begun) or message


def _call(session: Session) -> TerminationMessage:
    """Call the role's function and judge how it came back."""
    pid = os.getpid()
    try:
        message = _call_and_judge(session)
    except SurrealError as error:
        log.error("%s", error)
        message = TerminationMessage(error.exit_code.name, str(error))
    except Exception as error:
        log.exception("the role failed")
        message = TerminationMessage(ExitCode.FAILED.name, f"{type(error).__name__}: {error}")
    except BaseException as error:
        message = _judge_exit(session, error)
    if os.getpid() != pid:
        # a child that the role forked came back here; the channels and the run are its parent's
        os._exit(message.code)
    return message


def _call_and_judge(session: Session) -> TerminationMessage:
    returned = _call_until_stopped(session)
    # turned away is not the same as stopped
    session.check_membership()
    # a run that goes on needs this process again; one that is over does not
    default = ExitCode.PREEMPTED if session.preempted else ExitCode.DONE
    code = default if returned is None else ExitCode(returned)
    wiring = session.wiring
    if code is ExitCode.DONE and wiring.expendable and not session.stopping.wait(EARLY_RETURN_GRACE_S):
        reason = f"{wiring.run} returned before the run was over"
        log.error("%s", reason)
        return TerminationMessage(ExitCode.FAILED.name, reason)
    progress = _progress(session) if wiring.serves_control else {}
    return TerminationMessage(code.name, session.node.stop_reason, progress)


def _judge_exit(session: Session, error: BaseException) -> TerminationMessage:
    """Judge SystemExit and its like, which the role's own code raised: a crash, unless this process was told to stop.

    The exit status in it means nothing to the run: a simulator ends with 0 because its window was closed.
    """
    if session.stopping.wait(0.5) and session.preempted:
        log.warning("the role's code ended the process on %s: %r", session.node.stop_reason, error)
        return TerminationMessage(ExitCode.PREEMPTED.name, session.node.stop_reason)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    what = f"exit({error.code!r})" if isinstance(error, SystemExit) else repr(error)
    reason = f"{what}{place} ended the process before its role returned"
    log.error("%s", reason, exc_info=error)
    return TerminationMessage(ExitCode.FAILED.name, reason)


def _call_until_stopped(session: Session) -> ExitCode | None:
    if session.wiring.code:
        sys.path.append(session.wiring.code)
    watch = _watch_signals(session)
    try:
        role = _import_role(session.wiring.run)
        watch.handle(session.stop)
        return role(Process(session))
    except Stopping as stopping:
        log.info("stopped: %s", stopping)
        return None


def _watch_signals(session: Session) -> SignalWatch:
    """Have signals stop this process: during an import by an exception, later by a word to the role."""
    reset_in_children()
    signal.signal(RETIRE_SIGNAL, lambda *_: session.retire())
    watch = SignalWatch(session.stop)
    watch.handle(lambda name: _interrupt(session, name))
    session.node.loop.watch(watch.descriptor, watch.read)
    session.every(CHECK_INTERVAL_S, watch.check)
    return watch


def _interrupt(session: Session, name: str) -> None:
    """End an import, which may take long and has nothing to lose."""
    session.stop(name)
    session.stopping.wait(1.0)
    raise Stopping(name)


def _import_role(run: str) -> Role:
    """Return the function that `package.module:function` names. Raises Fatal: another start would not find it."""
    module, _, function = run.partition(":")
    try:
        role: Role = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        log.error("cannot import the role", exc_info=True)
        where = "Put the module beside the experiment file, or into the image."
        raise Fatal(f"cannot import {run}: {error}. {where}") from error
    return role


def _tell_run(session: Session, message: TerminationMessage, in_pod: bool) -> None:
    """Tell the other processes if this one's end is the run's. On one machine the supervisor tells of failures."""
    ended = {ExitCode.FATAL: "the run failed", ExitCode.STOPPED: "the run stopped"}.get(message.code, "")
    if not session.wiring.serves_control:
        session.fatal = message.reason if in_pod and ended else ""
    elif message.code is ExitCode.DONE or (ended and in_pod):
        session.stop_all(reason=f"{ended}: {message.reason}" if ended else "the run is over")
        if in_pod and (missing := session.drain(DRAIN_S)):
            log.info("%d processes have not started or not left: %s", len(missing), ", ".join(sorted(missing)[:10]))


def _progress(session: Session) -> dict[str, float]:
    """Return the newest of PROGRESS_KEYS: this process's own, and those that only others report."""
    gauges, wiring = session.gauges.values(), session.wiring
    newest: dict[str, float] = {}
    for key in PROGRESS_KEYS:
        for role in (wiring.role, *wiring.replicas):
            for value in gauges.get(gauge_name(role, key), {}).values():
                newest.setdefault(key, value)
    return newest


def _print_last(words: str) -> None:
    """Print to standard error. If its reader was the supervisor that died, let all further output go nowhere."""
    try:
        os.write(2, f"{words}\n".encode())
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)


def _watch_lifeline(session: Session) -> None:
    """Stop this process when the supervisor's end of the pipe closes, by force if it does not stop by itself."""
    number = os.environ.pop(LIFELINE_VARIABLE, "")
    if not number:
        return
    lifeline = int(number)
    # a child of this process must not keep it
    os.set_inheritable(lifeline, False)

    def wait_for_the_end() -> None:
        while os.read(lifeline, 1):
            pass
        _print_last("the supervisor is gone: stopping")
        session.stop("the supervisor is gone")
        time.sleep(ORPHAN_GRACE_S)
        os._exit(ExitCode.FAILED)

    threading.Thread(target=wait_for_the_end, name="surreal-lifeline", daemon=True).start()
