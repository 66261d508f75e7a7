"""Sweep line over the intervals of one process: each moment belongs to the innermost operation, and to nothing else."""

from collections import Counter
from typing import NamedTuple

from surreal.orchestrator.profiling.timelines import Interval, Timeline

OUTSIDE = ("outside", "python")
"""Time of the working thread in no operation."""
UNRECORDED = ("unrecorded", "unknown")
"""Time whose spans were dropped."""


class Swept(NamedTuple):
    """Times in nanoseconds; those of `own` and `outside` and `unrecorded` together are the wall time."""

    own: list[int]
    """Time of each interval in which it was the innermost of the working thread."""
    parents: list[int]
    """Index, for each interval of the working thread, of the one around it at its start; -1 for none."""
    outside: int
    unrecorded: int
    beside: Counter[tuple[int, str]]
    """(index of the innermost interval or -1, resource) -> time in which another thread or a GPU used it too."""


def sweep(timeline: Timeline) -> Swept:
    """Return where the time of the working thread went, and what ran beside it."""
    intervals = timeline.intervals
    own, parents = [0] * len(intervals), [-1] * len(intervals)
    beside: Counter[tuple[int, str]] = Counter()
    active: list[int] = []
    others: Counter[str] = Counter()
    rest = {True: 0, False: 0}
    gaps, last = 0, timeline.begin
    for moment, begins, number in _edges(timeline):
        if (passed := moment - last) > 0:
            innermost = active[-1] if active else -1
            if active:
                own[innermost] += passed
            else:
                rest[gaps > 0] += passed
            for resource in others:
                beside[innermost, resource] += passed
            last = moment
        if number < 0:
            gaps += 1 if begins else -1
        elif intervals[number].lane:
            others[intervals[number].resource] += 1 if begins else -1
            others += Counter()
        elif begins:
            parents[number] = active[-1] if active else -1
            active.append(number)
        else:
            active.remove(number)
    rest[gaps > 0] += timeline.end - last
    return Swept(own, parents, rest[False], rest[True], beside)


def _edges(timeline: Timeline) -> list[tuple[int, bool, int]]:
    """Return (moment, begins, number of the interval; -1 for a gap) in order of time, cut to the timeline.

    At the same moment ends come before begins, and of those that begin the longest first: it is around the others.
    """
    edges: list[tuple[int, int, int, int]] = []
    for number, each in enumerate(timeline.intervals):
        start, end = _cut(each, timeline)
        if end > start:
            edges += [(start, 1, -end, number), (end, 0, 0, number)]
    for start, end in timeline.gaps:
        if end > start:
            edges += [(start, 1, -end, -1), (end, 0, 0, -1)]
    return [(moment, begins == 1, number) for moment, begins, _, number in sorted(edges)]


def _cut(each: Interval, timeline: Timeline) -> tuple[int, int]:
    return max(each.start, timeline.begin), min(each.end, timeline.end)
