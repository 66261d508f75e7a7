"""Counters of a channel, and warnings that do not flood the log."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from surreal.protocol.profiling.spans import IDLE, operation

log = logging.getLogger("surreal")

Warn = Callable[[str, str], None]
"""Called with a thing and a text about it."""

WARN_INTERVAL_S = 60.0
"""Seconds between two log lines about the same thing."""
MAX_TOPICS = 1000
"""Things told apart within that time."""


@dataclass
class Stats:
    """Counters of one channel since it was opened; all grow, except `depth`."""

    messages: int = 0
    """Messages sent, or handed to the application."""
    bytes: int = 0
    """Bytes of those messages' arrays."""
    resent: int = 0
    """Messages transmitted again because they were lost on the way."""
    duplicates: int = 0
    """Messages that had been received before and were discarded."""
    refused: int = 0
    """Packets that were malformed, from a name that is taken, or from a process that was replaced."""
    dropped: int = 0
    """Messages given up on purpose (lossy streams)."""
    blocked_seconds: float = 0.0
    """Time the sender waited at the window."""
    depth: int = 0
    """Sender: unacknowledged messages now. Publisher: readers waiting for the next version."""

    def copy(self, **changes: Any) -> "Stats":
        """Return the counters of one instant, but for `changes`: no other thread counts within an operation in C."""
        return Stats(**(vars(self) | changes))


class RateLimitedLog:
    """Logger of warnings: each topic at once, then at most once a minute with the number of those left out."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, int]] = {}
        self._cleared = 0.0

    def __call__(self, thing: str, text: str) -> None:
        """Warn with `text` unless there was a warning about the same `thing` in the last minute."""
        now = time.monotonic()
        if thing not in self._seen and len(self._seen) >= MAX_TOPICS:
            thing = self._make_room(now) or thing
        since, left_out = self._seen.get(thing, (now - WARN_INTERVAL_S, 0))
        if now - since < WARN_INTERVAL_S:
            self._seen[thing] = (since, left_out + 1)
            return
        self._seen[thing] = (now, 0)
        log.warning("%s%s", text, f" ({left_out} more like it since the last warning)" if left_out else "")

    def _make_room(self, now: float) -> str:
        """Forget old topics, at most once a second; return a common topic if that is not enough.

        Peers name some of the topics, and must not fill our memory with them.
        """
        if now - self._cleared >= 1.0:
            self._cleared = now
            self._seen = {thing: seen for thing, seen in self._seen.items() if now - seen[0] < WARN_INTERVAL_S}
        return "" if len(self._seen) < MAX_TOPICS else "many things"


class Activity:
    """A counter of moves, and what is done for a while beside them."""

    __slots__ = ("doing", "moves")

    def __init__(self) -> None:
        self.moves = 0
        self.doing = ""
        """A sentence without its subject, such as `compiles the gradients`; empty for ordinary work."""


class _Thread(threading.local):
    """The calling thread: those of ours, called `surreal-...`, move even where the work hangs, and do not count.

    A name is looked at once for each thread, since every message of every channel is a move.
    """

    def __init__(self) -> None:
        self.counts = not threading.current_thread().name.startswith("surreal-")


ACTIVITY = Activity()
"""This process's."""
_THREAD = _Thread()
_is_set = threading.Event.is_set
FROZEN = "does not answer (frozen, or inside a call that blocks Python)"
"""The sentence on a process of which nothing moves, not even its I/O thread."""
ONCE = "(once for this machine)"
"""Words of what is compiled and kept on the disk, by which the status knows it."""
SLICE = 1.0
"""Seconds of a long wait after which it is counted as a move again: waiting is no hang."""


def moved() -> None:
    """Say that the work goes on: for loops that use no channel for minutes, such as a long evaluation."""
    ACTIVITY.moves += 1


class StopEvent(threading.Event):
    """An event whose waits and looks count as moves of the thread that makes them."""

    def is_set(self) -> bool:
        """Return True once the process has been asked to stop."""
        if _THREAD.counts:
            ACTIVITY.moves += 1
        return _is_set(self)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` seconds, for ever if None; return True once set."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = SLICE if deadline is None else deadline - time.monotonic()
            with operation("wait", IDLE):
                found = super().wait(max(0.0, min(SLICE, left)))
            if _THREAD.counts:
                ACTIVITY.moves += 1
            if found or left <= SLICE and deadline is not None:
                return found
