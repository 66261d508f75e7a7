"""Queue of the things to look at: each is in it once, and is worked on by one thread at a time."""

import heapq
import itertools
import threading
import time

Key = tuple[str, str]
"""Kind and name of a resource."""
URGENT = -1.0
"""Due time of what a person waits for: it comes before all else that is due."""


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
                self._due[key] = due
                heapq.heappush(self._heap, (due, next(self._order), key))
                self._changed.notify()

    def get(self) -> Key | None:
        """Return the next key that is due, and wait for it; None once the queue is closed. Call `done` afterwards."""
        with self._changed:
            while not self._closed:
                self._forget_old()
                wait = self._heap[0][0] - time.monotonic() if self._heap else None
                if wait is not None and wait <= 0:
                    _due, _order, key = heapq.heappop(self._heap)
                    del self._due[key]
                    self._busy.add(key)
                    return key
                self._changed.wait(wait)
        return None

    def done(self, key: Key) -> None:
        """Say that the work on a key has ended."""
        with self._changed:
            self._busy.discard(key)
            again = self._again.pop(key, None)
            if again is not None:
                self._due[key] = again
                heapq.heappush(self._heap, (again, next(self._order), key))
                self._changed.notify()

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

    def _forget_old(self) -> None:
        """Drop entries of the heap whose key has another time by now."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
