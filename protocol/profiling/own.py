"""Profile of this process: begins and ends as the run says, and goes out in chunks."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any, NamedTuple

from surreal.protocol.profiling import costs
from surreal.protocol.profiling.chunks import MOST_MARKS, MOST_OPEN, Chunk, packed
from surreal.protocol.profiling.interception import Interception
from surreal.protocol.profiling.request import ProfileRequest
from surreal.protocol.profiling.spans import ACTIVE, Mark, Recorder

log = logging.getLogger("surreal")

DRAIN_S = 1.0
"""Seconds between two looks at what has been recorded."""
MOST_CHUNKS = 12
"""Chunks of one look; what then waits is sent with the next, or dropped when the ring is full."""
SAMPLES = 32
"""Round trips to the process that serves control that are kept: of these the fastest counts."""
GRACE_S = 5.0
"""Seconds after its end that a profile goes on where the run has not said that it is over."""

Collector = tuple[Callable[[], None], Callable[[Recorder], None]]
"""Begin, and end with the recorder that takes what was collected."""
COLLECTORS: list[Collector] = []
"""Further sources of spans in this process, such as kernels of a GPU; a role adds its own."""


class Offset(NamedTuple):
    """Nanoseconds to add to a reading of one's own clock for that of the other process."""

    nanoseconds: int
    error: int
    """The true offset lies within this of it: half of the round trip. -1 where there was none yet."""


UNKNOWN = Offset(0, -1)


class OffsetEstimate:
    """Offset by the fastest of the last round trips (Cristian 1989): its answer was given in the middle, or near it."""

    def __init__(self) -> None:
        self._samples: deque[Offset] = deque(maxlen=SAMPLES)

    def add(self, asked: int, theirs: int, answered: int) -> None:
        """Take in one round trip: own clock at the question, the other clock at the answer, own clock then.

        One that ends before it began is of a clock that jumped, and does not count.
        """
        if answered >= asked:
            half = (answered - asked) // 2
            self._samples.append(Offset(theirs - asked - half, half))

    @property
    def best(self) -> Offset:
        """The offset as known now."""
        return min(self._samples, key=lambda sample: sample.error, default=UNKNOWN)


class _Taken:
    """A profile that is being taken."""

    def __init__(self, request: ProfileRequest) -> None:
        self.request, self.recorder = request, Recorder()
        self.costs = costs.measure()
        self.watch = Interception(self.recorder) if request.intercept else None
        if self.watch:
            self.recorder.watch = self.watch.begin
        self.number, self.cpu, self.delayed = 0, _cpu(), _delayed()
        self.begin = perf_counter_ns()
        self.deadline = time.monotonic() + request.seconds + GRACE_S


@dataclass(eq=False)
class OwnProfile:
    """The profile of one process. Call all methods from its I/O thread."""

    process: str
    """The name under which it takes part."""
    clock: OffsetEstimate = field(default_factory=OffsetEstimate)
    """Offset to the clock of the process that serves control."""
    _taken: _Taken | None = field(default=None, init=False)
    _rest: list[Chunk] = field(default_factory=list, init=False)

    @property
    def active(self) -> bool:
        """True while a profile is taken, or some of it is left to send."""
        return self._taken is not None or bool(self._rest)

    def obey(self, said: Any) -> None:
        """Begin or end as the run says: plain data of a request, or None where no profile is taken."""
        request = ProfileRequest.parse(said)
        taken = self._taken
        if taken and (request is None or request.name != taken.request.name):
            self._end(taken)
        elif taken is None and request is not None and request.wants(self.process):
            self._begin(request)

    def chunks(self) -> Iterator[Chunk]:
        """Yield what has been recorded since the last call, as far as it may travel now."""
        rest, self._rest = self._rest, []
        yield from rest
        taken = self._taken
        if taken is None:
            return
        if time.monotonic() > taken.deadline:
            log.warning("the profile %s was never said to be over: ended", taken.request.name)
            self._end(taken)
            return
        taken.recorder.due = taken.watch is not None
        for _ in range(MOST_CHUNKS):
            chunk = self._chunk(taken)
            yield chunk
            if len(chunk.rows) < MOST_MARKS:
                return

    def _begin(self, request: ProfileRequest) -> None:
        self._taken = taken = _Taken(request)
        for begin, _ in COLLECTORS:
            begin()
        ACTIVE.recorder = taken.recorder
        log.info("a profile is taken: %s, %g s", request.name, request.seconds)

    def _end(self, taken: _Taken) -> None:
        """Record no more; keep what is left for the next look."""
        ACTIVE.recorder = None
        for _, end in COLLECTORS:
            end(taken.recorder)
        self._rest = [self._chunk(taken)]
        while len(self._rest[-1].rows) == MOST_MARKS and len(self._rest) < 3 * MOST_CHUNKS:
            self._rest.append(self._chunk(taken))
        self._taken = None
        log.info("the profile %s is over", taken.request.name)

    def _chunk(self, taken: _Taken) -> Chunk:
        marks, lost = taken.recorder.drain(MOST_MARKS)
        now, best = perf_counter_ns(), self.clock.best
        under: list[Mark] = taken.recorder.under_way(now)[:MOST_OPEN]
        watched = taken.watch.counts if taken.watch else {}
        chunk = Chunk(
            profile=taken.request.name,
            number=taken.number,
            begin=taken.begin,
            end=now,
            offset=best.nanoseconds,
            error=best.error,
            cpu=_cpu() - taken.cpu,
            delayed=_delayed() - taken.delayed,
            lost=lost,
            main=threading.main_thread().ident or 0,
            names=taken.recorder.names(),
            rows=packed(marks),
            open=packed(under),
            costs=taken.costs,
            calls=[[key, *counts] for key, counts in list(watched.items())],
        )
        taken.number += 1
        taken.begin = now
        return chunk

    def own_clock(self) -> None:
        """Take the own clock for that of the run: this process serves control, or reads the same clock."""
        self.clock.add(0, 0, 0)


def _delayed() -> int:
    """Return nanoseconds for which the working thread waited for a core; 0 where the system does not say."""
    try:
        path = f"/proc/self/task/{threading.main_thread().native_id}/schedstat"
        with open(path, "rb") as file:
            return int(file.read().split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _cpu() -> int:
    """Return nanoseconds of CPU that the working thread has used; 0 where the system does not say."""
    try:
        clock = time.pthread_getcpuclockid(threading.main_thread().ident or 0)
        return time.clock_gettime_ns(clock)
    except (AttributeError, OSError, OverflowError):
        return 0
