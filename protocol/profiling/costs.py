"""Cost of each type of event of a profile, measured where it is paid."""

import sys
from collections.abc import Callable
from time import perf_counter_ns
from types import FunctionType

from surreal.protocol.profiling.interception import Interception
from surreal.protocol.profiling.spans import PYTHON, SIMULATOR, Recorder, Span

EVENTS, BATCHES = 200, 9
"""Events of a batch, and batches: of these the fastest counts, since others were interrupted."""


def measure() -> dict[str, float]:
    """Return nanoseconds of one event by type.

    `span` is all that an empty operation costs, `inside` the part of it that its own time contains. `piece` is a call
    that is timed inside a span, `piece_inside` the part of it that its time contains. `aggregate` is a note of pieces,
    `intercepted` a call that interception saw. All together take some 20 ms.
    """
    recorder = Recorder(EVENTS * 4)
    recorder.top = lambda begins: None
    work = _Work(recorder, recorder.key("calibration", PYTHON))
    span = (_fastest(work.spans) - _fastest(_nothing)) / EVENTS
    marks, _ = recorder.drain(EVENTS * 4)
    inside = sorted(mark.duration for mark in marks)[len(marks) // 2]
    whole = (_fastest(work.aggregates) - _fastest(_nothing)) / EVENTS
    piece = (_fastest(work.pieces) - span - _fastest(work.plain)) / EVENTS
    recorder.drain(EVENTS * 4)
    work.pieces()
    within = recorder.drain(EVENTS * 4)[0][-1].duration / EVENTS
    return {
        "span": max(0.0, span),
        "inside": float(min(inside, span)),
        "aggregate": max(0.0, whole - span),
        "piece": max(0.0, piece),
        "piece_inside": float(min(within, max(0.0, piece))),
        "intercepted": _intercepted(recorder),
    }


class _Work:
    """Loops of events that do nothing else."""

    def __init__(self, recorder: Recorder, key: int) -> None:
        self._recorder, self._key = recorder, key

    def spans(self) -> None:
        """Make EVENTS empty spans."""
        for _ in range(EVENTS):
            with Span(self._recorder, self._key):
                pass

    def aggregates(self) -> None:
        """Make EVENTS spans, each with a note of pieces."""
        for _ in range(EVENTS):
            with Span(self._recorder, self._key) as span:
                span.spent("piece", SIMULATOR, 0.0, 1)

    def pieces(self) -> None:
        """Make EVENTS pieces in one span."""
        with Span(self._recorder, self._key) as span:
            piece = span.pieces("piece", SIMULATOR, _nought)
            for _ in range(EVENTS):
                piece()

    def plain(self) -> None:
        """Make the calls of `pieces` without a span."""
        for _ in range(EVENTS):
            _nought()


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


def _intercepted(recorder: Recorder) -> float:
    """Return what one event of interception costs in the calling thread."""
    watch = Interception(recorder)
    # code of ours is not watched: the loop runs as another module's
    calls = FunctionType(_calls.__code__, {"__name__": "calibration", "len": len, "range": range, "EVENTS": EVENTS})
    plain = _fastest(calls)
    if sys.getprofile() is not None:
        return 0.0
    with Span(recorder, recorder.key("calibration", PYTHON)):
        watch.watch()
        watched = _fastest(calls)
        sys.setprofile(None)
    return max(0.0, (watched - plain) / (2 * EVENTS))


def _calls() -> None:
    for _ in range(EVENTS):
        len(())
