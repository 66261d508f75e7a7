"""Workers of an ES run that roll nothing out: a process of benchmarks/es/capacity.py that is hundreds of them.

    python benchmarks es.simulated WIRING.json FIRST COUNT EPISODES_PER_SECOND

Each worker has its own connections, the ones of a real worker and through the same code, and does what a real one does
with weights and results; in place of episodes it lets the time pass that they take. One thread looks after all of them,
a few times a second instead of whenever something comes, so that the simulation costs little beside the master. A line
on stdout says when all workers are at work, others answer each line on stdin with what they have done so far; the end
of stdin ends it.
"""

import copy
import heapq
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import zmq

from surreal.algorithms.es.chunks import open_chunks
from surreal.algorithms.es.weights import Weights
from surreal.algorithms.es.worker import FRESH
from surreal.protocol.broadcast.subscriber import Subscriber
from surreal.protocol.errors import SurrealError, Timeout
from surreal.protocol.membership.member import Member
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.telemetry.counters import Counting, End, report
from surreal.protocol.transport.io_loop import IOLoop, Timer
from surreal.protocol.transport.node import Node
from surreal.protocol.wire.packet import Message
from surreal.protocol.wiring import Wiring

T = TypeVar("T")
STEPS = 1000
"""Steps of an episode."""
TURN = 0.2
"""Seconds between two looks at all connections."""
RARELY = 1.0
"""Seconds between two looks at what seldom changes, which a real worker has five of in a second."""
SOCKETS = 6
"""Sockets of one worker, those that watch others included; libzmq allows a thousand by default."""
PATIENCE = 120.0
"""Seconds that all workers may take to begin."""
DIALS = 100
"""Workers that a process connects in a second: real ones come up one by one, too."""


class Turns(IOLoop):
    """The I/O loop of all workers of a process, without a thread: what is due is done in `turn`."""

    def __init__(self) -> None:
        self._readers: dict[Any, Callable[[], None]] = {}
        self._poller = zmq.Poller()
        self._queue: list[tuple[float, int, Timer]] = []
        self._numbers, self._cancelled = count(), set[int]()

    def call(self, task: Callable[[], None]) -> None:
        task()

    def run(self, task: Callable[[], T]) -> T:
        return task()

    def watch(self, socket: zmq.Socket[bytes] | int, readable: Callable[[], None]) -> None:
        self._readers[socket] = readable
        self._poller.register(socket, zmq.POLLIN)

    def forget(self, socket: zmq.Socket[bytes] | int) -> None:
        if self._readers.pop(socket, None):
            self._poller.unregister(socket)

    def every(self, seconds: float, task: Callable[[], None]) -> Timer:
        timer = Timer(max(seconds, RARELY), task)
        self.start(timer)
        return timer

    def start(self, timer: Timer) -> None:
        heapq.heappush(self._queue, (timer.due, next(self._numbers), timer))

    def cancel(self, timer: Timer) -> None:
        self._cancelled.add(id(timer))

    def turn(self) -> None:
        """Read whatever has come; do what is due."""
        for socket, _ in self._poller.poll(0):
            self._readers[socket]()
        now = time.monotonic()
        while self._queue[0][0] <= now:
            _, number, timer = self._queue[0]
            if id(timer) in self._cancelled:
                self._cancelled.discard(id(timer))
                heapq.heappop(self._queue)
                continue
            heapq.heapreplace(self._queue, (now + timer.seconds, number, timer))
            timer.task()


class Worker:
    """One worker: its connections and the chunk it is on."""

    def __init__(self, node: Node, wiring: Wiring, index: int, episodes_per_second: float) -> None:
        self._episode_seconds = 1.0 / episodes_per_second
        own = copy.copy(node)  # the context and the loop are shared, names and connections are not
        own.name = f"worker/{index}"
        self._weights = Subscriber(own, wiring.channels["weights"].addresses[0])
        results = wiring.channels["results"]
        self._results = StreamSender(own, results.addresses[0], results.window)
        ends: dict[End, Counting] = {("receive", "weights"): self._weights, ("send", "results"): self._results}
        self._member = Member(own, wiring.control, lambda: report(ends))
        self._chunks, self._rng = open_chunks(index, 1), np.random.default_rng(index)
        self._around: Weights | None = None
        self.lost = self.blocked = 0.0
        """Seconds of work that was given up, and of waiting for room."""
        self.episodes = 0

    @property
    def ready(self) -> bool:
        """At work."""
        return self._around is not None

    def wake(self, now: float) -> float:
        """Finish the chunk that is due, or give it up for one of newer weights; when to be woken next."""
        newest = self._weights.latest()
        if newest is None or (self._around is not None and not self._finish(self._around, newest)):
            return now + TURN
        self._around = weights = Weights.read(newest)
        return now + 2 * weights.orders.chunk * self._episode_seconds * float(self._rng.uniform(0.95, 1.05))

    def _finish(self, around: Weights, newest: Message) -> bool:
        """Send the chunk's results; False where there is no room for them yet."""
        behind = newest.version[1] - around.generation
        pairs, observations = around.orders.chunk, len(around.standardize.shift)
        seconds = 2 * pairs * self._episode_seconds
        if behind > around.orders.max_staleness:
            self.lost += seconds
            return True
        arrays: dict[str, np.ndarray[Any, Any]] = {
            "returns": self._rng.standard_normal((pairs, 2)),
            "steps": np.full((pairs, 2), STEPS, dtype=np.uint32),
            "sums": np.full(2 * observations + 1, STEPS, dtype=np.int64),
        }
        try:
            self._results.send(arrays, {"chunk": next(self._chunks)}, around.version, timeout=0)
        except Timeout:
            self.blocked += TURN
            return False
        if behind:  # a real worker would have begun anew if it had hardly begun when they came
            self.lost += FRESH / 2 * FRESH * seconds
        self.episodes += 2 * pairs
        return True

    def sent_bytes(self) -> int:
        """Bytes of arrays sent so far."""
        return self._results.stats.bytes


def simulate(wiring: Wiring, first: int, number: int, episodes_per_second: float) -> None:
    """Be workers `first` ... `first` + `number` - 1 until stdin ends."""
    loop, began = Turns(), time.monotonic()
    node = Node(wiring.name, wiring.incarnation)
    node.loop.close()
    node.loop = loop
    node.context.set(zmq.MAX_SOCKETS, SOCKETS * number + 100)
    workers: list[Worker] = []
    due: list[tuple[float, int]] = []
    asked, lag, ready = Asked(), 0.0, False
    while not asked.closed:
        start = time.monotonic()
        while len(workers) < min(number, DIALS * (start - began) + 1):
            heapq.heappush(due, (start, len(workers)))
            workers.append(Worker(node, wiring, first + len(workers), episodes_per_second))
        loop.turn()
        while due[0][0] <= time.monotonic():
            at, n = due[0]
            lag = max(lag, time.monotonic() - at)
            heapq.heapreplace(due, (workers[n].wake(at), n))
        if not ready and len(workers) == number and all(worker.ready for worker in workers):
            ready = True
            print(json.dumps({"ready": number}), flush=True)
        if not ready and start - began > PATIENCE:
            idle = sum(not worker.ready for worker in workers) + number - len(workers)
            raise SurrealError(f"{idle} of {number} workers have no work after {PATIENCE:.0f} s")
        if asked.take():
            print(json.dumps(told(workers, lag)), flush=True)
            lag = 0.0
        time.sleep(max(0.0, start + TURN - time.monotonic()))


def told(workers: list[Worker], lag: float) -> dict[str, float]:
    """Return what all of them have done so far, and how late this process was at worst since it was last asked."""
    return {
        "episodes": sum(worker.episodes for worker in workers),
        "lost": sum(worker.lost for worker in workers),
        "blocked": sum(worker.blocked for worker in workers),
        "bytes": sum(worker.sent_bytes() for worker in workers),
        "cpu": time.process_time(),
        "lag": lag,
    }


class Asked:
    """Lines on stdin, read by a thread."""

    def __init__(self) -> None:
        self.closed = False
        self._lines = threading.Semaphore(0)
        threading.Thread(target=self._read, daemon=True).start()

    def take(self) -> bool:
        """Return True if there was a line that was not taken."""
        return self._lines.acquire(blocking=False)

    def _read(self) -> None:
        for _ in sys.stdin:
            self._lines.release()
        self.closed = True


if __name__ == "__main__":
    logging.getLogger("surreal").setLevel(logging.ERROR)  # what happens to one of thousands does not matter
    try:
        simulate(Wiring.read(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
    except SurrealError as error:
        sys.exit(str(error))
    os._exit(0)  # thousands of sockets take long to close
