"""Go-back-N: which messages of a sender are not acknowledged yet, and which is to be transmitted next."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Window(Generic[T]):
    """The unacknowledged messages `base <= seq < next`, of which those before `cursor` have been transmitted.

    Nothing is sent again because time has passed: only because the receiver said that something is missing. A
    connection keeps order, so each such report is about one round of transmission, and reports of older rounds
    say nothing new.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.base = self.next = self.cursor = 0
        self.furthest = 0
        """Everything before it has been transmitted at least once."""
        self.round = 0
        self._items: deque[T] = deque()

    @property
    def unacked(self) -> int:
        """Messages that wait for an acknowledgement."""
        return self.next - self.base

    @property
    def full(self) -> bool:
        """Must the sender wait?"""
        return self.unacked >= self.size

    def append(self, item: T) -> int:
        """Add the next message; its sequence number."""
        self._items.append(item)
        self.next += 1
        return self.next - 1

    def due(self) -> T | None:
        """The message to transmit next, at `cursor`."""
        return self._items[self.cursor - self.base] if self.cursor < self.next else None

    def transmitted(self) -> bool:
        """The message at `cursor` is on its way. True if it had been before."""
        again = self.cursor < self.furthest
        self.cursor += 1
        self.furthest = max(self.furthest, self.cursor)
        return again

    def acknowledge(self, upto: int) -> bool:
        """The receiver has everything before `upto`. False for what cannot be true (never transmitted)."""
        if upto > self.furthest:
            return False
        while self.base < upto:
            self._items.popleft()
            self.base += 1
        self.cursor = max(self.cursor, self.base)
        return True

    def lost(self, since: int, round: int) -> bool:
        """The receiver misses `since`, as a packet of `round` told it. False for what cannot be true."""
        if not self.acknowledge(since):
            return False
        if round == self.round and self.cursor > self.base:
            self.cursor = self.base
            self.round = (self.round + 1) % 2**32
        return True
