"""Interception of calls between Python and C: how often the working thread crosses, and what it spends in C.

CPython reports its calls (sys.setprofile) at some cost, so they are watched for MOST_NS at a time, at most one such
sample for each look at what was recorded. It does not report operators and ufuncs of numpy: their time counts as
Python's.
"""

import sys
import threading
from time import perf_counter_ns
from types import FrameType
from typing import Any

from surreal.protocol.profiling.spans import Recorder

MOST_NS = 5_000_000
"""Length of a sample: one in DRAIN_S is half a hundredth of the time."""
_OWN = "surreal.protocol.profiling."


class Interception:
    """Counts for each operation of the working thread."""

    def __init__(self, recorder: Recorder) -> None:
        """Watch for `recorder`, which knows the operation that each call belongs to."""
        self._recorder = recorder
        self._since = self._last = self._called = 0
        self._depth = 0
        self.counts: dict[int, list[int]] = {}
        """Key -> nanoseconds watched, nanoseconds in C, calls of C, events."""

    def begin(self) -> None:
        """Watch from now on if this is the working thread and no debugger or coverage needs its calls."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._recorder.due = False
        if sys.getprofile() is None:
            self.watch()

    def watch(self) -> None:
        """Begin a sample in the calling thread."""
        self._depth = 0
        self._since = self._last = perf_counter_ns()
        sys.setprofile(self._event)

    def _event(self, frame: FrameType, event: str, argument: Any) -> None:
        now = perf_counter_ns()
        key = self._recorder.innermost()
        if key is not None:
            counts = self.counts.setdefault(key, [0, 0, 0, 0])
            counts[3] += 1
            if not str(frame.f_globals.get("__name__", "")).startswith(_OWN):
                self._count(counts, event, now)
        if now - self._since > MOST_NS:
            sys.setprofile(None)

    def _count(self, counts: list[int], event: str, now: int) -> None:
        counts[0] += now - self._last
        self._last = now
        if event == "c_call":
            counts[2] += 1
            if not self._depth:
                self._called = now
            self._depth += 1
        elif event in ("c_return", "c_exception") and self._depth:
            self._depth -= 1
            if not self._depth:
                counts[1] += now - self._called
                self._last = perf_counter_ns()
