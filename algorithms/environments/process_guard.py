"""Guards of this process against an environment's code: signal handlers, endless calls, a simulator's own log."""

import atexit
import logging
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import FrameType
from typing import Any

from surreal.protocol.transport.stats import RateLimitedLog

KEPT = (signal.SIGTERM, signal.SIGINT)
"""Signals that ask a process to stop; some simulators install handlers of their own."""

TELL_SECONDS = 1.0
log = logging.getLogger(__name__)
_heard: deque[str] = deque(maxlen=256)
_limited = RateLimitedLog()


def hear_mujoco() -> None:
    """Log what MuJoCo warns of, if it is loaded: by itself it prints, and writes a file in the working directory.

    Each thing is a warning at most once a minute: an unstable simulation says so at every step. That a model is written
    in an old way is for its author, and so information.
    """
    mujoco = sys.modules.get("mujoco")
    if mujoco is not None and mujoco.get_mju_user_warning() is None:
        # A method in C: an exception that Python raises in there, such as Ctrl-C's, would abort the process.
        mujoco.set_mju_user_warning(_heard.append)
        atexit.register(tell_heard)
        threading.Thread(target=_tell, name="surreal-mujoco", daemon=True).start()


def tell_heard() -> None:
    """Log what MuJoCo said since the last time."""
    while _heard:
        text = _heard.popleft()
        thing = text.partition(" Time = ")[0]
        if "deprecated" in thing:
            _inform(thing)
        else:
            _limited(thing, f"mujoco: {text}")


def _tell() -> None:
    while True:
        time.sleep(TELL_SECONDS)
        tell_heard()


@lru_cache(100)
def _inform(text: str) -> None:
    """Log `text` once: each copy of an environment says it again."""
    log.info("mujoco: %s", text)


@contextmanager
def keeping_signals() -> Iterator[None]:
    """Put back the handlers of the signals that stop this process, whatever the body installed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in KEPT}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def at_most(seconds: float, call: Callable[[], Any]) -> None:
    """Call `call`, and raise TimeoutError from within after `seconds`.

    Only the main thread has such a limit, since signals arrive there. A call that blocks in C must itself return on
    an interrupted system call.
    """
    if threading.current_thread() is not threading.main_thread():
        call()
        return

    def expire(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"no end after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
