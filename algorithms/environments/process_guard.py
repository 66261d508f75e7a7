"""Guards of this process against what an environment's code does to it: signal handlers, calls that never return."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

KEPT = (signal.SIGTERM, signal.SIGINT)
"""Signals that ask a process to stop; some simulators install handlers of their own."""


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
