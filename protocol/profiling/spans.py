"""Operations of this process: begin and end of each, in a ring of bounded size, while a profile is taken.

Without a profile an operation costs a fifth of a microsecond. `Process.operation` is the public door.
"""

from collections import deque
from collections.abc import Callable
from threading import get_ident
from time import perf_counter_ns
from typing import Any, NamedTuple, TypeVar

PYTHON, SIMULATOR, NUMERIC, COMMUNICATION, IDLE, GPU = RESOURCES = (
    "python",
    "simulator",
    "numeric",
    "communication",
    "idle",
    "gpu",
)
"""Resources that the time of an operation itself, without those inside it, goes to."""
RING_SPANS = 32_768
"""Spans that wait for their way out; older ones are dropped, and counted."""
MAX_KEYS = 128
"""Pairs of names and resources of one process; further ones count as `others`."""
MAX_NAME = 60
"""Characters of a name."""


Function = TypeVar("Function", bound=Callable[..., Any])


class Mark(NamedTuple):
    """One span that ended, or (with a count) `count` pieces of an operation inside the span (`parent`, `start`)."""

    key: int
    parent: int
    thread: int
    start: int
    """Nanoseconds on this process's monotonic clock."""
    duration: int
    """Nanoseconds."""
    times: int


_new = tuple.__new__
"""Makes a Mark in half the time of a call of its class."""


class Nothing:
    """An operation while no profile is taken."""

    __slots__ = ()

    def __enter__(self) -> "Nothing":
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def spent(self, name: str, resource: str, seconds: float, count: int) -> None:
        """Note nothing."""

    def pieces(self, name: str, resource: str, function: Function) -> Function:
        """Return the function itself."""
        return function


class _Timed:
    """A function whose calls are counted and timed."""

    __slots__ = ("_function", "count", "nanoseconds")

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.nanoseconds = self.count = 0

    def __call__(self, *arguments: Any) -> Any:
        began = perf_counter_ns()
        result = self._function(*arguments)
        self.nanoseconds += perf_counter_ns() - began
        self.count += 1
        return result


class Span:
    """An operation that is recorded."""

    __slots__ = ("_inside", "_pieces", "_recorder", "key", "start", "thread")

    def __init__(self, recorder: "Recorder", key: int) -> None:
        self._recorder, self.key = recorder, key
        self.start, self.thread = 0, 0
        self._inside: list[tuple[int, int, int]] | None = None
        self._pieces: list[tuple[int, _Timed]] | None = None

    def __enter__(self) -> "Span":
        recorder = self._recorder
        self.thread = thread = get_ident()
        stack = recorder.stack(thread)
        if recorder.top is not None and not stack:
            recorder.top(True)
        stack.append(self)
        self.start = perf_counter_ns()
        return self

    def __exit__(self, *error: object) -> None:
        ended = perf_counter_ns()
        if self._pieces is not None:
            told = [(key, timed.nanoseconds, timed.count) for key, timed in self._pieces]
            self._inside = (self._inside or []) + told
        self._recorder.closed(self, ended, self._inside)

    def spent(self, name: str, resource: str, seconds: float, count: int) -> None:
        """Note that `seconds` of this span went to `count` pieces of an operation too small to be spans."""
        if self._inside is None:
            self._inside = []
        self._inside.append((self._recorder.key(name, resource), round(seconds * 1e9), count))

    def pieces(self, name: str, resource: str, function: Function) -> Function:
        """Return a function that does the same, whose calls are pieces of an operation too small to be spans."""
        if self._pieces is None:
            self._pieces = []
        timed = _Timed(function)
        self._pieces.append((self._recorder.key(name, resource), timed))
        return timed  # type: ignore[return-value]


NOTHING = Nothing()
Operation = Nothing | Span


class Recorder:
    """Spans of one process while a profile is taken. Any thread may record; one thread drains."""

    def __init__(self, size: int = RING_SPANS) -> None:
        """Keep at most `size` spans between two drains."""
        self._marks: deque[Mark] = deque(maxlen=size)
        self._keys: dict[tuple[str, str], int] = {}
        self._added = self._drained = 0
        self._open: dict[int, list[Span]] = {}
        self.top: Callable[[bool], None] | None = None
        """Called in the working thread where an outermost span begins (True) and ends (False)."""

    def key(self, name: str, resource: str) -> int:
        """Return the number of a name with a resource."""
        found = self._keys.get((name, resource))
        if found is None:
            if len(self._keys) >= MAX_KEYS - 1:
                name, resource = "others", PYTHON
            elif resource not in RESOURCES:
                raise ValueError(f"resource: {resource!r} is none. Take one of {', '.join(RESOURCES)}.")
            found = self._keys.setdefault((name[:MAX_NAME], resource), len(self._keys))
        return found

    def names(self) -> list[tuple[str, str]]:
        """Return names and resources in the order of their numbers."""
        return list(self._keys)

    def stack(self, thread: int) -> "list[Span]":
        """Return the operations of a thread that are under way, the innermost last."""
        return self._open.setdefault(thread, [])

    def closed(self, span: "Span", ended: int, inside: list[tuple[int, int, int]] | None) -> None:
        """Note that a span has ended, with what was inside it."""
        stack = self._open[span.thread]
        if stack and stack[-1] is span:
            stack.pop()
        self._marks.append(_new(Mark, (span.key, 0, span.thread, span.start, ended - span.start, 0)))
        self._added += 1
        if inside is not None:
            for key, duration, count in inside:
                self._marks.append(_new(Mark, (key, span.key, span.thread, span.start, duration, count)))
                self._added += 1
        if self.top is not None and not stack:
            self.top(False)

    def add(self, mark: Mark) -> None:
        """Take in a span that was recorded elsewhere."""
        self._marks.append(mark)
        self._added += 1

    def drain(self, most: int) -> tuple[list[Mark], int]:
        """Return up to `most` spans that ended, in order, and the number of those lost since the last drain."""
        marks: list[Mark] = []
        while self._marks and len(marks) < most:
            marks.append(self._marks.popleft())
        lost = self._added - self._drained - len(marks) - len(self._marks)
        self._drained = self._added - len(self._marks)
        return marks, max(0, lost)

    def innermost(self, thread: int) -> int | None:
        """Return the key of the innermost operation of a thread; None outside all."""
        stack = self._open.get(thread)
        return stack[-1].key if stack else None

    def under_way(self, now: int) -> list[Mark]:
        """Return the spans that have begun and not ended, as if they ended `now`."""
        stacks = list(self._open.values())
        spans = [span for stack in stacks for span in list(stack) if span.start]
        return [Mark(span.key, 0, span.thread, span.start, max(0, now - span.start), 0) for span in spans]


class _Active:
    """The recorder of this process, if a profile is taken."""

    __slots__ = ("recorder",)

    def __init__(self) -> None:
        self.recorder: Recorder | None = None


ACTIVE = _Active()


def operation(name: str, resource: str = PYTHON) -> Operation:
    """Return a context manager: the time inside is of the operation `name`, and uses `resource`.

    Operations nest: time inside an inner one is that one's alone. Raises ValueError for an unknown resource.
    """
    recorder = ACTIVE.recorder
    if recorder is None:
        return NOTHING
    return Span(recorder, recorder.key(name, resource))
