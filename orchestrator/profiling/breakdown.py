"""Breakdown of each process: seconds by operation and resource, with the profiler's own cost taken out and said."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from surreal.orchestrator.profiling.sweep import OUTSIDE, UNRECORDED, Swept, sweep
from surreal.orchestrator.profiling.timelines import Piece, Timeline

PROFILER = ("profiler", "python")
"""The profiler's own time."""
Key = tuple[str, str]
"""Operation and resource."""
LEAST_WATCHED = 0.1
"""Share of the time watched that is left without the cost of watching, below which a sample tells nothing."""


@dataclass(frozen=True)
class Crossings:
    """Calls between Python and C in one operation, in the share of its time that was watched."""

    seconds: float
    """Time that was watched, without the cost of watching."""
    calls: int
    share_in_c: float

    @property
    def per_second(self) -> float:
        """Calls of C in a second."""
        return self.calls / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Breakdown:
    """One process, or the mean process of a role. Seconds of the working thread; all of `seconds` are the wall time."""

    name: str
    wall: float
    seconds: dict[Key, float]
    cpu: float
    """Seconds of CPU of the working thread."""
    delayed: float = 0.0
    """Seconds in which the working thread could have run, and had no core."""
    counts: dict[Key, int] = field(default_factory=dict)
    """Spans, or pieces."""
    crossings: dict[Key, Crossings] = field(default_factory=dict)
    beside: dict[tuple[str, str], float] = field(default_factory=dict)
    """(operation, resource) -> seconds in which another thread or a GPU used it beside."""
    processes: int = 1

    def share(self, resource: str) -> float:
        """Return the share of the wall time that went to a resource."""
        return sum(spent for (_, used), spent in self.seconds.items() if used == resource) / self.wall

    @property
    def profiler(self) -> float:
        """Seconds that the profiler itself took, which are in no other operation."""
        return self.seconds.get(PROFILER, 0.0)

    @property
    def corrected(self) -> float:
        """Wall seconds that the same work takes without the profiler."""
        return self.wall - self.profiler

    @property
    def busy(self) -> float:
        """Share of the corrected wall time that was not idle."""
        idle = sum(spent for (_, used), spent in self.seconds.items() if used == "idle")
        return 1 - idle / self.corrected if self.corrected > 0 else 0.0

    def to_data(self) -> dict[str, Any]:
        """Return plain data."""
        rows = [
            {
                "operation": operation,
                "resource": resource,
                "seconds": round(spent, 6),
                "share": round(spent / self.wall, 5),
                "count": self.counts.get((operation, resource), 0),
                **self._crossed((operation, resource)),
            }
            for (operation, resource), spent in sorted(self.seconds.items(), key=lambda entry: -entry[1])
        ]
        beside = [{"operation": o, "resource": r, "seconds": round(s, 6)} for (o, r), s in self.beside.items()]
        return {
            "name": self.name,
            "processes": self.processes,
            "wall_seconds": round(self.wall, 6),
            "corrected_seconds": round(self.corrected, 6),
            "cpu_seconds": round(self.cpu, 6),
            "delayed_seconds": round(self.delayed, 6),
            "busy_share": round(self.busy, 5),
            "operations": rows,
            "beside": beside,
        }

    def _crossed(self, key: Key) -> dict[str, float]:
        found = self.crossings.get(key)
        if found is None or not found.seconds:
            return {}
        return {"c_calls_per_second": round(found.per_second, 1), "share_in_c": round(found.share_in_c, 4)}


def break_down(timeline: Timeline) -> Breakdown:
    """Return the breakdown of one timeline."""
    swept = sweep(timeline)
    nanoseconds, counts = _spent(timeline, swept)
    _correct(timeline, swept, nanoseconds)
    names = [(each.name, each.resource) for each in timeline.intervals]
    beside: Counter[tuple[str, str]] = Counter()
    for (number, resource), spent in swept.beside.items():
        beside[names[number][0] if number >= 0 else OUTSIDE[0], resource] += spent
    return Breakdown(
        timeline.process,
        timeline.wall / 1e9,
        {key: spent / 1e9 for key, spent in nanoseconds.items() if spent > 0},
        timeline.cpu / 1e9,
        timeline.delayed / 1e9,
        dict(counts),
        _crossings(timeline),
        {key: spent / 1e9 for key, spent in beside.items()},
    )


def _spent(timeline: Timeline, swept: Swept) -> tuple[Counter[Key], Counter[Key]]:
    """Return nanoseconds and counts by operation and resource; pieces are taken out of their spans."""
    spent: Counter[Key] = Counter({OUTSIDE: swept.outside, UNRECORDED: swept.unrecorded})
    counts: Counter[Key] = Counter()
    for each, own in zip(timeline.intervals, swept.own, strict=True):
        if each.lane:
            continue
        key = (each.name, each.resource)
        counts[key] += 1
        left = own
        for piece, inside in _fitted(each.pieces, own):
            spent[piece.name, piece.resource] += inside
            counts[piece.name, piece.resource] += piece.times
            left -= inside
        spent[key] += left
    return spent, counts


def _fitted(pieces: Sequence[Piece], own: int) -> list[tuple[Piece, int]]:
    """Return pieces with their nanoseconds, which together are no more than the span's own: one may have been cut."""
    total = sum(piece.nanoseconds for piece in pieces)
    scale = min(1.0, own / total) if total else 0.0
    return [(piece, int(piece.nanoseconds * scale)) for piece in pieces]


def _correct(timeline: Timeline, swept: Swept, spent: Counter[Key]) -> None:
    """Move the cost of every event from the operation in which it occurred to the profiler."""
    costs = timeline.costs
    span, inside = costs.get("span", 0.0), costs.get("span_inside", 0.0)
    owed: Counter[Key] = Counter()
    floats: dict[Key, float] = {}

    def owe(key: Key, nanoseconds: float) -> None:
        floats[key] = floats.get(key, 0.0) + nanoseconds

    for each, parent in zip(timeline.intervals, swept.parents, strict=True):
        if each.lane:
            continue
        around = OUTSIDE if parent < 0 else timeline.intervals[parent][2:4]
        owe((each.name, each.resource), inside)
        owe(around, span - inside)
        for part in each.pieces:
            # What was told is one note, of many pieces.
            times = 1 if part.kind == "told" else part.times
            cost, within = costs.get(part.kind, 0.0), costs.get(f"{part.kind}_inside", 0.0)
            owe((part.name, part.resource), times * within)
            owe((each.name, each.resource), times * (cost - within))
    for key, calls in timeline.calls.items():
        owe(key, calls.events * costs.get("intercepted", 0.0))
    for key, nanoseconds in floats.items():
        owed[key] = min(int(nanoseconds), spent[key])
    spent.subtract(owed)
    spent[PROFILER] += owed.total()


def _crossings(timeline: Timeline) -> dict[Key, Crossings]:
    cost, found = timeline.costs.get("intercepted", 0.0), {}
    for key, calls in timeline.calls.items():
        real = calls.watched - calls.events * cost
        if real < LEAST_WATCHED * calls.watched or not calls.watched:
            # Next to all of it is the watching itself: what is left would be noise.
            continue
        in_c = min(max(calls.in_c, 0.0), real)
        found[key] = Crossings(real / 1e9, calls.calls, in_c / real)
    return found


def by_role(breakdowns: Sequence[Breakdown]) -> dict[str, Breakdown]:
    """Return the mean process of each role, roles in order of name; several starts of a process are one of it."""
    groups: dict[str, list[Breakdown]] = {}
    for each in breakdowns:
        groups.setdefault(each.name.partition("/")[0], []).append(each)
    return {role: _mean(role, group) for role, group in sorted(groups.items())}


def _mean(role: str, group: Sequence[Breakdown]) -> Breakdown:
    number = len({each.name for each in group})
    crossings: dict[Key, Crossings] = {}
    for each in group:
        for key, crossed in each.crossings.items():
            had = crossings.get(key, Crossings(0.0, 0, 0.0))
            seconds = had.seconds + crossed.seconds
            in_c = had.seconds * had.share_in_c + crossed.seconds * crossed.share_in_c
            crossings[key] = Crossings(seconds, had.calls + crossed.calls, in_c / seconds if seconds else 0.0)
    return Breakdown(
        role,
        sum(each.wall for each in group) / number,
        _means([each.seconds for each in group], number),
        sum(each.cpu for each in group) / number,
        sum(each.delayed for each in group) / number,
        {key: round(mean) for key, mean in _means([each.counts for each in group], number).items()},
        crossings,
        _means([each.beside for each in group], number),
        number,
    )


def _means(tables: Sequence[Mapping[Key, float]], number: int) -> dict[Key, float]:
    total: dict[Key, float] = {}
    for table in tables:
        for key, value in table.items():
            total[key] = total.get(key, 0.0) + value
    return {key: value / number for key, value in total.items()}
