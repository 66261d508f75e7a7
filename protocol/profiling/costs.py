"""Cost of each type of event of a profile, measured where it is paid."""

import sys
from collections.abc import Callable
from time import perf_counter_ns
from types import FunctionType

from surreal.protocol.profiling.interception import Interception
from surreal.protocol.profiling.spans import PYTHON, SHORTEST_NS, SIMULATOR, Recorder, Span

EVENTS, BATCHES = 100, 9
"""Events of a batch, and batches: of these the fastest counts, since others were interrupted."""


def measure() -> dict[str, float]:
    """Return nanoseconds of one event by type.

    `span` is all that an empty operation costs, `span_inside` the part of it that its own time contains. The same of
    `folded`, a short operation inside another, and of `timed`, a call of a function of `pieces`. `told` is a note of
    what was spent, and `intercepted` a call that interception saw. All together take some 20 ms.
    """
    nothing, called = _fastest(_nothing), _fastest(_calls_of_nought)
    whole, short = _Work(Recorder(EVENTS * 4, shortest=0)), _Work(Recorder(EVENTS * 4, shortest=SHORTEST_NS))
    span, folded = _fastest(whole.spans) - nothing, _fastest(short.spans) - nothing
    timed, told = _fastest(short.timed) - called, _fastest(short.told) - nothing
    inside = {
        "span": whole.inside(whole.spans),
        "folded": short.inside(short.spans),
        "timed": short.inside(short.timed),
    }
    found = {"span": span, "folded": folded, "timed": timed, "told": told, "intercepted": _intercepted(whole.recorder)}
    costs = {name: max(0.0, spent / EVENTS) for name, spent in found.items()}
    return costs | {f"{name}_inside": min(each / EVENTS, costs[name]) for name, each in inside.items()}


class _Work:
    """Loops of events that do nothing else, inside one span."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder, self._key = recorder, recorder.key("calibration", PYTHON)

    def spans(self) -> None:
        """Make EVENTS empty spans."""
        recorder, key = self.recorder, self._key
        with Span(recorder, key):
            for _ in range(EVENTS):
                with Span(recorder, recorder.key("piece", SIMULATOR)):
                    pass

    def timed(self) -> None:
        """Call EVENTS pieces."""
        with Span(self.recorder, self._key) as span:
            piece = span.pieces("piece", SIMULATOR, _nought)
            for _ in range(EVENTS):
                piece()

    def told(self) -> None:
        """Note EVENTS pieces."""
        with Span(self.recorder, self._key) as span:
            for _ in range(EVENTS):
                span.spent("piece", SIMULATOR, 0.0, 1)

    def inside(self, loop: Callable[[], None]) -> int:
        """Return the nanoseconds of all pieces of a loop together."""
        self.recorder.drain(EVENTS * 4)
        loop()
        marks, _ = self.recorder.drain(EVENTS * 4)
        return sum(mark.duration for mark in marks if mark.key != self._key)


def _fastest(work: Callable[[], None]) -> int:
    best = sys.maxsize
    for _ in range(BATCHES):
        began = perf_counter_ns()
        work()
        best = min(best, perf_counter_ns() - began)
    return best


def _nought() -> None:
    return None


def _nothing() -> None:
    for _ in range(EVENTS):
        pass


def _calls_of_nought() -> None:
    for _ in range(EVENTS):
        _nought()


def _intercepted(recorder: Recorder) -> float:
    """Return what the events of interception cost in the calling thread that come with EVENTS calls, halved."""
    watch = Interception(recorder)
    # code of ours is not watched: the loop runs as another module's
    calls = FunctionType(_calls.__code__, {"__name__": "calibration", "len": len, "range": range, "EVENTS": EVENTS})
    plain = _fastest(calls)
    if sys.getprofile() is not None:
        return 0.0

    def watched() -> None:
        watch.watch()
        calls()
        sys.setprofile(None)

    with Span(recorder, recorder.key("calibration", PYTHON)):
        return (_fastest(watched) - plain) / 2


def _calls() -> None:
    for _ in range(EVENTS):
        len(())
