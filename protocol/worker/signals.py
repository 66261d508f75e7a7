"""Signals of a worker: SIGTERM and SIGINT ask it to stop, whatever its role's code does to their handlers.

Foreign code replaces handlers: a window toolkit takes SIGTERM for a closed window, an environment ignores SIGINT. So
the I/O thread hears of a signal through the interpreter's wake-up descriptor, which works beside every handler of
Python. It also puts the system's own handler back if a library has replaced it.
"""

import ctypes
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress

log = logging.getLogger("surreal")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
RETIRE_SIGNAL = signal.SIGUSR1
"""Asks a process to stop once it has handed over its work."""
CHECK_INTERVAL_S = 1.0
"""Time after which a replaced handler is noticed."""
_POINTER_BYTES = ctypes.sizeof(ctypes.c_void_p)
_ACTION_BYTES = 512
"""More than a struct sigaction has on any system."""
HANG_GRACE_S = 30.0
"""Seconds that the interpreter has to end: a busy machine may need ten. The record of the outcome is written before."""
EXIT_GRACE_S = 8.0
"""Time that the interpreter has to end once the role's outcome is recorded."""


class SignalWatch:
    """The stop signals of this process. Make it, and call its methods, in the main thread; `check` is for any."""

    def __init__(self, stop: Callable[[str], None]) -> None:
        """Call `stop` with the name of a stop signal; it may be called twice for one signal."""
        self._stop = stop
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self.handle(stop)
        self._actions = {number: _action(number) for number in STOP_SIGNALS}

    @property
    def descriptor(self) -> int:
        """The descriptor that is readable after a signal; have the I/O thread call `read` then."""
        return self._reader

    def handle(self, stop: Callable[[str], None]) -> None:
        """Have Python's own handlers of the stop signals call `stop` with the signal's name."""
        for number in STOP_SIGNALS:
            signal.signal(number, lambda received, _: stop(signal.Signals(received).name))

    def read(self) -> None:
        """Take the signals that have come and stop for them."""
        with suppress(BlockingIOError):
            for number in os.read(self._reader, 4096):
                if number in STOP_SIGNALS:
                    self._stop(signal.Signals(number).name)

    def check(self) -> None:
        """Put back a handler that a library has replaced."""
        for number, action in self._actions.items():
            # the handler comes first in every system's struct; behind it the C library leaves what it finds
            if action and _action(number)[:_POINTER_BYTES] != action[:_POINTER_BYTES]:
                _set_action(number, action)
                log.warning("%s had lost its handler to code of the role; it is back", signal.Signals(number).name)

    def close(self) -> None:
        """Hear no more; the signals keep Python's own handlers."""
        with suppress(ValueError):
            signal.set_wakeup_fd(-1)
        os.close(self._reader)
        os.close(self._writer)


def limit_exit(code: int) -> None:
    """Have this process exit with `code` soon, whatever keeps it: threads that are left, or a library's own end."""
    left = [each.name for each in threading.enumerate() if each is not threading.current_thread() and not each.daemon]
    if left:
        log.warning("the role left threads running: %s. They end in %g s.", ", ".join(left[:10]), EXIT_GRACE_S)

    def end() -> None:
        time.sleep(EXIT_GRACE_S)
        os._exit(code)

    threading.Thread(target=end, name="surreal-exit", daemon=True).start()
    # the thread stops with the interpreter; what hangs in a library's destructors after that, this alarm ends
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGALRM,))
    signal.setitimer(signal.ITIMER_REAL, HANG_GRACE_S)


def reset_in_children() -> None:
    """Give forked children the system's own handlers: what asks this process to stop must end a child.

    The signals are blocked meanwhile. A child that is terminated at once would otherwise still have the parent's
    handlers, and its signal would reach the parent through the descriptor that both have.
    """
    os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_reset)


_masks = threading.local()


def _block() -> None:
    _masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.before)


def _reset() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _unblock()


def _action(number: int) -> bytes:
    """Return the system's handler of a signal as an opaque struct; empty where the system does not tell."""
    action = ctypes.create_string_buffer(_ACTION_BYTES)
    try:
        failed = ctypes.CDLL(None).sigaction(int(number), None, action)
    except (OSError, AttributeError):
        return b""
    return b"" if failed else action.raw


def _set_action(number: int, action: bytes) -> None:
    ctypes.CDLL(None).sigaction(int(number), ctypes.create_string_buffer(action, len(action)), None)
