"""Operations of this process: begin and end of each, in a ring of bounded size, while a profile is taken.

Those shorter than SHORTEST_NS inside another are added up in that one, so thousands a second cost and weigh little.
Without a profile an operation costs a quarter of a microsecond. `Process.operation` is the public door.
"""

from collections import deque
from collections.abc import Callable
from threading import Lock, get_ident
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
_KNOWN = frozenset(RESOURCES)
RING_SPANS = 32_768
"""Spans that wait for their way out; older ones are dropped, and counted."""
SHORTEST_NS = 1_000_000
"""Length from which an operation inside another is a span of its own, and not a piece of that other one."""
MAX_KEYS = 128
"""Pairs of names and resources of one process; further ones count as `others`."""
MAX_NAME = 60
"""Characters of a name."""
MOST_SPENT_S = 1e6
"""Seconds from which what was noted of a span is no time."""

Function = TypeVar("Function", bound=Callable[..., Any])
KINDS = ("span", "timed", "folded", "told")
SPAN, TIMED, FOLDED, TOLD = range(len(KINDS))
"""Kinds of marks: a span, and the pieces inside one: calls that were timed, short operations, and what was noted."""


class Mark(NamedTuple):
    """One span that ended, or `times` pieces of an operation inside the span (`parent`, `start`)."""

    key: int
    parent: int
    thread: int
    start: int
    """Nanoseconds on this process's monotonic clock."""
    duration: int
    """Nanoseconds, of pieces without those inside them."""
    times: int
    kind: int


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
        _check(name, resource)

    def pieces(self, name: str, resource: str, function: Function) -> Function:
        """Return the function itself."""
        _check(name, resource)
        return function


class _Timed:
    """A function whose calls are counted and timed."""

    __slots__ = ("_function", "key", "nanoseconds", "times")

    def __init__(self, function: Callable[..., Any], key: int) -> None:
        self._function, self.key = function, key
        self.nanoseconds = self.times = 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        began = perf_counter_ns()
        try:
            return self._function(*arguments, **named)
        finally:
            self.nanoseconds += perf_counter_ns() - began
            self.times += 1


_NO_STACK: list["Span"] = []
"""Stack of a span that has not begun."""


class Span:
    """An operation that is recorded."""

    __slots__ = ("_recorder", "_stack", "_timed", "inside", "key", "start")

    def __init__(self, recorder: "Recorder", key: int) -> None:
        self._recorder, self.key = recorder, key
        self._timed: list[_Timed] | None = None
        self.inside: dict[tuple[int, int], list[int]] | None = None
        """(key, kind) -> nanoseconds and number of its pieces."""
        self._stack = _NO_STACK
        self.start = 0

    def __enter__(self) -> "Span":
        recorder = self._recorder
        if recorder.due:
            recorder.watch()
        self._stack = stack = recorder.stack()
        stack.append(self)
        self.start = perf_counter_ns()
        return self

    def __exit__(self, *error: object) -> None:
        duration, stack = perf_counter_ns() - self.start, self._stack
        if stack and stack[-1] is self:
            stack.pop()
        elif self in stack:
            stack.remove(self)
        else:
            # It has ended, or never began: as without a profile, that is no error.
            return
        if self._timed is not None:
            for timed in self._timed:
                self.add(timed.key, TIMED, timed.nanoseconds, timed.times)
                timed.nanoseconds = timed.times = 0
        if stack and duration < self._recorder.shortest:
            stack[-1].fold(self.key, duration, self.inside)
        else:
            self._recorder.closed(self, duration)
        self.inside = None

    def fold(self, key: int, duration: int, inside: dict[tuple[int, int], list[int]] | None) -> None:
        """Add a short operation with the pieces inside it to the pieces of this span."""
        if inside is not None:
            for (name, kind), (nanoseconds, times) in inside.items():
                self.add(name, kind, nanoseconds, times)
                duration -= nanoseconds
        self.add(key, FOLDED, max(duration, 0), 1)

    def add(self, key: int, kind: int, nanoseconds: int, times: int) -> None:
        """Add pieces of an operation to those inside this span."""
        if self.inside is None:
            self.inside = {}
        found = self.inside.get((key, kind))
        if found is None:
            self.inside[key, kind] = [nanoseconds, times]
        else:
            found[0] += nanoseconds
            found[1] += times

    def spent(self, name: str, resource: str, seconds: float, count: int) -> None:
        """Note that `seconds` of this span went to `count` pieces of an operation too small to be spans.

        Seconds that are negative or no number, such as a clock that was set leaves, count as none.
        """
        sane = seconds if 0 <= seconds < MOST_SPENT_S else 0.0
        self.add(self._recorder.key(name, resource), TOLD, round(sane * 1e9), count if count > 0 else 0)

    def pieces(self, name: str, resource: str, function: Function) -> Function:
        """Return a function that does the same, whose calls are pieces of an operation too small to be spans."""
        if self._timed is None:
            self._timed = []
        timed = _Timed(function, self._recorder.key(name, resource))
        self._timed.append(timed)
        return timed  # type: ignore[return-value]


NOTHING = Nothing()
Operation = Nothing | Span


class Recorder:
    """Spans of one process while a profile is taken. Any thread may record; one thread drains."""

    def __init__(self, size: int = RING_SPANS, shortest: int = SHORTEST_NS) -> None:
        """Keep at most `size` spans between two drains, of those inside others the ones of `shortest` nanoseconds."""
        self._marks: deque[Mark] = deque(maxlen=size)
        self._keys: dict[tuple[str, str], int] = {}
        self._lock = Lock()
        self._added = self._drained = 0
        self._stacks: dict[int, list[Span]] = {}
        self.shortest = shortest
        self.due = False
        """The next span that begins calls `watch`."""
        self.watch: Callable[[], None] = _nothing

    def key(self, name: str, resource: str) -> int:
        """Return the number of a name with a resource."""
        found = self._keys.get((name, resource))
        if found is None:
            _check(name, resource)
            key = printable(name), resource
            with self._lock:
                if key not in self._keys and len(self._keys) >= MAX_KEYS - 1:
                    key = "others", PYTHON
                found = self._keys.setdefault(key, len(self._keys))
        return found

    def names(self) -> list[tuple[str, str]]:
        """Return names and resources in the order of their numbers."""
        return list(self._keys)

    def stack(self) -> list[Span]:
        """Return the operations of the calling thread that are under way, the innermost last."""
        thread = get_ident()
        found = self._stacks.get(thread)
        return self._stacks.setdefault(thread, []) if found is None else found

    def closed(self, span: Span, duration: int) -> None:
        """Note that a span of the calling thread has ended, with what was inside it."""
        thread, start = get_ident(), span.start
        self._marks.append(_new(Mark, (span.key, 0, thread, start, duration, 0, SPAN)))
        self._added += 1
        if span.inside is not None:
            for (key, kind), (nanoseconds, times) in span.inside.items():
                self._marks.append(_new(Mark, (key, span.key, thread, start, nanoseconds, times, kind)))
                self._added += 1

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

    def innermost(self) -> int | None:
        """Return the key of the innermost operation of the calling thread; None outside all."""
        stack = self._stacks.get(get_ident())
        return stack[-1].key if stack else None

    def under_way(self, now: int) -> list[Mark]:
        """Return the spans that have begun and not ended, as if they ended `now`."""
        stacks = [(thread, list(stack)) for thread, stack in list(self._stacks.items())]
        spans = [(thread, span) for thread, stack in stacks for span in stack if span.start]
        return [Mark(span.key, 0, thread, span.start, max(0, now - span.start), 0, SPAN) for thread, span in spans]


def printable(name: str) -> str:
    """Return a name that can be sent, and shown on a terminal: other characters are `?`, and it ends at MAX_NAME."""
    cut = name[:MAX_NAME]
    return cut if cut.isprintable() else "".join(each if each.isprintable() else "?" for each in cut)


def _check(name: str, resource: str) -> None:
    """Raise ValueError for what is no name, or no resource; with a profile and without alike."""
    if resource not in RESOURCES:
        raise ValueError(f"resource: {resource!r} is none. Take one of {', '.join(RESOURCES)}.")
    if not isinstance(name, str):
        raise ValueError(f"operation: {name!r} is no name. Give a str.")


def _nothing() -> None:
    return None


class _Active:
    """The recorder of this process, if a profile is taken."""

    __slots__ = ("recorder",)

    def __init__(self) -> None:
        self.recorder: Recorder | None = None


ACTIVE = _Active()


def operation(name: str, resource: str = PYTHON) -> Operation:
    """Return a context manager: the time inside is of the operation `name`, and uses `resource`.

    Operations nest: time inside an inner one is that one's alone. Raises ValueError for an unknown resource, whether a
    profile is taken or not: an attached profile ends no process.
    """
    recorder = ACTIVE.recorder
    if recorder is None:
        # A call more would cost as much as all the rest.
        if resource not in _KNOWN or name.__class__ is not str:
            _check(name, resource)
        return NOTHING
    return Span(recorder, recorder.key(name, resource))
