"""Signs of life of the working threads: each one that passes through a channel or an environment counts a move.

One counter for the process; `worker/pulse.py` reads it. Adding without a lock may lose a count, never the change.
"""

import threading
import time


class Activity:
    """A counter of moves. Threads of ours, called `surreal-...`, move even where the work hangs and do not count."""

    def __init__(self) -> None:
        self.moves = 0

    def note(self) -> None:
        """Count a move of the calling thread."""
        if not threading.current_thread().name.startswith("surreal-"):
            self.moves += 1


ACTIVITY = Activity()
"""This process's."""
SLICE = 1.0
"""Seconds of a long wait after which it is counted as a move again: waiting is no hang."""


def moved() -> None:
    """Say that the work goes on: for loops that use no channel for minutes, such as a long evaluation."""
    ACTIVITY.moves += 1


class StopEvent(threading.Event):
    """An event whose waits and looks count as moves of the thread that makes them."""

    def is_set(self) -> bool:
        """Return True once the process has been asked to stop."""
        ACTIVITY.note()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` seconds, for ever if None; return True once set."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = SLICE if deadline is None else deadline - time.monotonic()
            found = super().wait(max(0.0, min(SLICE, left)))
            ACTIVITY.note()
            if found or left <= SLICE and deadline is not None:
                return found
