"""Threads that share one batch: each takes some of its rows. numpy frees the interpreter's lock meanwhile."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

Work = Callable[[int], None]


class Lanes:
    """`count` threads, the calling one among them, that run the same function on different parts of the work."""

    def __init__(self, count: int) -> None:
        """Start the other threads; they end with the process, or at `close`."""
        self.count = count
        self._work: list[SimpleQueue[Work | None]] = [SimpleQueue() for _ in range(count - 1)]
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        for lane, queue in enumerate(self._work, start=1):
            threading.Thread(target=self._serve, args=(lane, queue), name=f"lane-{lane}", daemon=True).start()

    def run(self, work: Work) -> None:
        """Call work(lane) for every lane at once, and return when all have. Raises the first exception of any."""
        for queue in self._work:
            queue.put(work)
        error: BaseException | None = None
        try:
            work(0)
        except BaseException as raised:
            error = raised
        for _ in self._work:
            error = self._done.get() or error
        if error is not None:
            raise error

    def parts(self, size: int) -> list[slice]:
        """Return the part of `size` rows for each lane, as equal as possible; some are empty for a small size."""
        edges = [size * lane // self.count for lane in range(self.count + 1)]
        return [slice(start, end) for start, end in zip(edges, edges[1:], strict=False)]

    def close(self) -> None:
        """End the threads."""
        for queue in self._work:
            queue.put(None)

    def _serve(self, lane: int, queue: "SimpleQueue[Work | None]") -> None:
        while (work := queue.get()) is not None:
            try:
                work(lane)
            except BaseException as error:
                self._done.put(error)
            else:
                self._done.put(None)
