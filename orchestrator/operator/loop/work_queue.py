"""Queue of the things to look at: each is in it once, and is worked on by one thread at a time."""

import heapq
import itertools
import threading
import time

Key = tuple[str, str]
"""Kind and name of a resource."""
URGENT = -1.0
"""Due time of what a person waits for: it comes before all else that is due."""
SLACK = 4
"""Entries of the heap for each key, after which those of other times than the key's are dropped."""


class WorkQueue:
    """Keys with the time when each is due. A key that is added while it is worked on comes again afterwards."""

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._busy: set[Key] = set()
        self._again: dict[Key, float] = {}
        self._order = itertools.count()
        self._closed = False
        self._changed = threading.Condition()

    def add(self, key: Key, delay: float = 0.0, urgent: bool = False) -> None:
        """Have a key worked on after so many seconds; an earlier time that it has already stays."""
        due = URGENT if urgent else time.monotonic() + delay
        with self._changed:
            if key in self._busy:
                self._again[key] = min(due, self._again.get(key, due))
            elif due < self._due.get(key, float("inf")):
                self._push(key, due)

    def get(self, urgent: bool = False) -> Key | None:
        """Return the next key that is due, and wait for it; None once the queue is closed. Call `done` afterwards.

        With `urgent` it is one that a person waits for: a thread for these alone is never held up by the others.
        """
        with self._changed:
            while not self._closed:
                self._forget_old()
                first = self._heap[0][0] if self._heap else float("inf")
                if first <= (URGENT if urgent else time.monotonic()):
                    return self._take()
                self._changed.wait(None if urgent or first == float("inf") else first - time.monotonic())
        return None

    def done(self, key: Key) -> None:
        """Say that the work on a key has ended."""
        with self._changed:
            self._busy.discard(key)
            again = self._again.pop(key, None)
            if again is not None:
                self._push(key, again)

    def close(self) -> None:
        """End every `get`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        """Count the keys that are due now or later."""
        with self._changed:
            return len(self._due)

    @property
    def waiting(self) -> int:
        """Number of keys that are due and not yet worked on."""
        now = time.monotonic()
        with self._changed:
            return sum(due <= now for due in self._due.values())

    def _push(self, key: Key, due: float) -> None:
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._order), key))
        if len(self._heap) > SLACK * (len(self._due) + 1):
            self._heap = [each for each in self._heap if self._due.get(each[2]) == each[0]]
            heapq.heapify(self._heap)
        self._changed.notify_all()

    def _take(self) -> Key:
        _due, _order, key = heapq.heappop(self._heap)
        del self._due[key]
        self._busy.add(key)
        return key

    def _forget_old(self) -> None:
        """Drop entries of the heap whose key has another time by now."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
