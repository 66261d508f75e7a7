"""Go-back-N: which messages of a sender are not acknowledged yet, and which is to be transmitted next."""

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

WINDOW_BYTES = 32 * 1024 * 1024
"""Unacknowledged bytes at which a sender waits, whatever its window is; one message may exceed it."""


class Window(Generic[T]):
    """The unacknowledged messages `base <= seq < next`; those before `cursor` have been transmitted.

    A message is sent again only because the receiver reported that it is missing, never because time has passed. A
    connection keeps order, so each report is about one round of transmission. Reports of older rounds say nothing new.
    """

    def __init__(self, size: int, nbytes: int = WINDOW_BYTES) -> None:
        """Make a window that is full with `size` messages or `nbytes` bytes."""
        self.size, self.max_bytes = size, nbytes
        self.base = self.next = self.cursor = 0
        self.furthest = 0
        """Everything before it has been transmitted at least once."""
        self.round = 0
        self.nbytes = 0
        """Bytes that wait for an acknowledgement."""
        self._items: deque[T] = deque()
        self._sizes: deque[int] = deque()

    @property
    def unacked(self) -> int:
        """Messages that wait for an acknowledgement."""
        return self.next - self.base

    @property
    def full(self) -> bool:
        """True if the sender must wait."""
        return self.next - self.base >= self.size or self.nbytes >= self.max_bytes

    def append(self, item: T, nbytes: int) -> int:
        """Add the next message; return its sequence number."""
        self._items.append(item)
        self._sizes.append(nbytes)
        self.nbytes += nbytes
        self.next += 1
        return self.next - 1

    def due(self) -> Iterator[T]:
        """Return the messages to transmit next, from `cursor` on."""
        # Places near an end of a deque are found at once, unlike those that an iterator has to pass.
        return map(self._items.__getitem__, range(self.cursor - self.base, len(self._items)))

    def transmitted(self, count: int = 1) -> int:
        """Note that the next `count` messages are on their way; return the number of those sent before."""
        again = min(self.cursor + count, self.furthest) - min(self.cursor, self.furthest)
        self.cursor += count
        self.furthest = max(self.furthest, self.cursor)
        return again

    def acknowledge(self, upto: int) -> bool:
        """Drop everything before `upto`. Return False for a number that was never transmitted."""
        if upto > self.furthest:
            return False
        for _ in range(upto - self.base):
            self._items.popleft()
            self.nbytes -= self._sizes.popleft()
        self.base = max(self.base, upto)
        self.cursor = max(self.cursor, self.base)
        return True

    def lost(self, since: int, round: int) -> bool:
        """Go back to `since`, which a packet of `round` showed to be missing. Return False for an impossible number."""
        if not self.acknowledge(since):
            return False
        if round == self.round and self.cursor > self.base:
            self.cursor = self.base
            self.round = (self.round + 1) % 2**32
        return True
