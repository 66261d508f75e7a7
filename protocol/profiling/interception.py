"""Interception of calls between Python and C: how often the working thread crosses, and what it spends in C.

CPython reports its calls (sys.setprofile) at some cost, so only a few of the outermost operations are watched, a fixed
share of the time. It does not report operators and ufuncs of numpy: their time counts as Python's.
"""

import sys
import threading
from time import perf_counter_ns
from types import FrameType
from typing import Any

from surreal.protocol.profiling.spans import Recorder

SHARE = 0.04
"""Share of the time that is watched at most."""
FIRST_AFTER_NS = 1_000_000_000
"""Time of a profile before the first operation is watched."""
_OWN = "surreal.protocol.profiling."


class Interception:
    """Counts for each operation of the thread that calls `top`."""

    def __init__(self, recorder: Recorder, share: float = SHARE) -> None:
        """Watch at most `share` of the time; the recorder knows the operation that each call belongs to."""
        self._recorder, self._share, self._began = recorder, share, perf_counter_ns()
        self._watched = self._since = 0
        self._last = self._called = 0
        self._depth = 0
        self._thread = 0
        self.counts: dict[int, list[int]] = {}
        """Key -> nanoseconds watched, nanoseconds in C, calls of C, events."""

    def top(self, begins: bool) -> None:
        """Begin to watch an outermost operation if there is time for it, and end it with the operation."""
        now = perf_counter_ns()
        if not begins:
            if self._since:
                sys.setprofile(None)
                self._watched += now - self._since
                self._since = 0
        elif threading.current_thread() is threading.main_thread() and self._due(now):
            self.watch()

    def watch(self) -> None:
        """Begin to count in the calling thread."""
        self._since = self._last = perf_counter_ns()
        self._thread, self._depth = threading.get_ident(), 0
        sys.setprofile(self._event)

    def _due(self, now: int) -> bool:
        passed = now - self._began
        due = passed > FIRST_AFTER_NS and self._watched <= self._share * passed
        return due and sys.getprofile() is None

    def _event(self, frame: FrameType, event: str, argument: Any) -> None:
        if str(frame.f_globals.get("__name__", "")).startswith(_OWN):
            return
        now = perf_counter_ns()
        key = self._recorder.innermost(self._thread)
        if key is None:
            return
        counts = self.counts.setdefault(key, [0, 0, 0, 0])
        counts[3] += 1
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
