"""Sleeping until a signal or a time: no polling, so an idle supervisor costs nothing."""

import os
import select
import signal
import time
from contextlib import suppress
from types import FrameType


class Wakeup:
    """Listens to SIGTERM (stop), SIGINT (abort) and SIGCHLD from its creation on, in the main thread."""

    def __init__(self) -> None:
        self.stop_asked = False
        self.abort_asked = False
        self._readable, written_by_signals = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(written_by_signals, False)
        signal.set_wakeup_fd(written_by_signals, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, self._note)

    def sleep_until(self, moment: float | None) -> None:
        """Sleep until a signal, or this moment on the monotonic clock."""
        timeout = None if moment is None else max(0.0, moment - time.monotonic())
        select.select([self._readable], [], [], timeout)
        with suppress(BlockingIOError):
            while os.read(self._readable, 4096):
                pass

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.stop_asked |= number == signal.SIGTERM
        self.abort_asked |= number == signal.SIGINT
