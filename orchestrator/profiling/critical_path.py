"""Critical path: the way of experience from an environment's step to the weights that were learned from it."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from surreal.orchestrator.profiling.timelines import Interval, Timeline

SEGMENTS = ("acting", "send", "on the way", "learn", "publish", "weights on the way")
"""Parts of the path in order. `on the way`: in the channel, in replay, or waiting for the learner."""


class Path(NamedTuple):
    """The mean over the updates of a profile."""

    seconds: Mapping[str, float]
    """Segment -> seconds."""
    updates: int

    @property
    def total(self) -> float:
        """Seconds from the first step of a fragment to the next one that is acted with what was learned from it."""
        return sum(self.seconds.values())


def critical_path(timelines: Sequence[Timeline]) -> Path | None:
    """Return the path by way of the last fragment that each update waited for; None where none was recorded whole.

    It goes backwards from each published version: the learning before it, the last fragment that had been sent when
    that began, and how that was collected; then forwards to the first acting that began after.
    """
    acting = _of(timelines, "acting")
    sends = sorted(_of(timelines, "send"), key=lambda each: each.end)
    publishes = sorted(_of(timelines, "publish"), key=lambda each: each.start)
    learns = sorted(_of(timelines, "learn"), key=lambda each: each.end)
    if not (acting and sends and publishes and learns):
        return None
    acting.sort(key=lambda each: each.end)
    starts = sorted(each.start for each in acting)
    ends, learned, sent = _ends(acting), _ends(learns), _ends(sends)
    sums, found = dict.fromkeys(SEGMENTS, 0), 0
    for publish in publishes:
        learn = _last(learns, learned, publish.start)
        send = _last(sends, sent, learn.start) if learn else None
        act = _last(acting, ends, send.start) if send else None
        following = bisect_left(starts, publish.end)
        if learn is None or send is None or act is None or following == len(starts):
            continue
        found += 1
        for name, spent in zip(
            SEGMENTS,
            (
                act.end - act.start,
                send.end - send.start,
                learn.start - send.end,
                learn.end - learn.start,
                publish.end - publish.start,
                starts[following] - publish.end,
            ),
            strict=True,
        ):
            sums[name] += max(0, spent)
    if not found:
        return None
    return Path({name: spent / found / 1e9 for name, spent in sums.items()}, found)


def _of(timelines: Sequence[Timeline], name: str) -> list[Interval]:
    return [each for timeline in timelines for each in timeline.intervals if each.name == name and not each.lane]


def _ends(intervals: Sequence[Interval]) -> list[int]:
    return [each.end for each in intervals]


def _last(intervals: Sequence[Interval], ends: Sequence[int], moment: int) -> Interval | None:
    """Return the interval that ended last before a moment."""
    number = bisect_right(ends, moment) - 1
    return intervals[number] if number >= 0 else None
