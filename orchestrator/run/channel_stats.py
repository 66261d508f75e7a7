"""The channels of a run in numbers, as the process that serves control last wrote them to channels.json."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from surreal.protocol.transport.stats import FROZEN

CONTROL = "control"
"""Kind of the control port, which is no channel of the algorithm."""
FRESH = 10.0
"""Seconds after which a file that should be written every 2 s says nothing of the present any more."""
COUNTS = ("resent", "duplicates", "refused", "dropped")
"""Counts added up over all ends. Messages that cross a channel are counted at both of its ends instead."""


@dataclass(frozen=True)
class EndStatus:
    """One end of a channel in one process; the counters are described in `protocol.stats.Stats`."""

    channel: str
    kind: str
    process: str
    incarnation: int
    """The start of the process that has counted this."""
    end: str
    """`send`, `receive`, ..."""
    messages: int
    bytes: int
    resent: int
    duplicates: int
    refused: int
    dropped: int
    blocked_seconds: float
    depth: int | None
    messages_per_second: float | None
    bytes_per_second: float | None
    blocked_share: float | None
    """Share of the time that it waited. These three are about the last 2 s and, as the depth, null where unknown."""

    def stale(self) -> "EndStatus":
        """Return a copy without the numbers that are only true now."""
        return replace(self, depth=None, messages_per_second=None, bytes_per_second=None, blocked_share=None)


@dataclass(frozen=True)
class ChannelStatus:
    """One channel over all its processes."""

    name: str
    kind: str
    ends: tuple[EndStatus, ...]

    def total(self, count: str) -> int:
        """Return the sum of one of COUNTS."""
        return sum(getattr(end, count) for end in self.ends)

    def flow(self, number: str) -> float | None:
        """Return a rate, or the depth, of the side that has more of it; None where it is not known."""
        sides: dict[str, float] = {}
        for end in self.ends:
            value = getattr(end, number)
            if value is not None:
                sides[end.end] = sides.get(end.end, 0) + value
        return max(sides.values(), default=None)

    def worst(self, number: str) -> EndStatus | None:
        """Return the end with the most of a number; None if all have none."""
        return max((end for end in self.ends if getattr(end, number)), key=attrgetter(number), default=None)

    @property
    def blocked_share(self) -> float | None:
        """The largest share of the time that one of its processes waits."""
        known = [end.blocked_share for end in self.ends if end.blocked_share is not None]
        return max(known, default=None)

    def document(self) -> dict[str, Any]:
        """Plain data: the whole, then every process."""
        return {
            "name": self.name,
            "kind": self.kind,
            "messages_per_second": self.flow("messages_per_second"),
            "bytes_per_second": self.flow("bytes_per_second"),
            **{count: self.total(count) for count in COUNTS},
            "blocked_share": self.blocked_share,
            "depth": self.flow("depth"),
            "processes": [_end_document(end) for end in self.ends],
        }


def read_channels(path: Path, over: bool) -> tuple[ChannelStatus, ...]:
    """Read the channels from `path`; none while nothing was written. See `channels_of`."""
    try:
        return channels_of(path.read_bytes(), over)
    except OSError:
        return ()


def channels_of(text: bytes, over: bool, now: float | None = None) -> tuple[ChannelStatus, ...]:
    """Parse the channels of a channels.json; none where it makes no sense.

    There are no rates once the run is `over` or the file is old by the clock of the machine that wrote it: `now` on
    that, seconds since 1970, this machine's clock if None.
    """
    try:
        data = json.loads(text)
        ends = [_end(row) for row in data["channels"]]
        old = over or (time.time() if now is None else now) - data["time"] > FRESH
    except (ValueError, TypeError, KeyError):
        return ()
    return _by_channel(end.stale() if old else end for end in ends)


def still_of(text: bytes, now: float, writer: str) -> dict[str, tuple[float, str]]:
    """Return process -> the seconds for which it has not moved and where it is, as a channels.json says.

    `writer` is the process that writes the file, and `now` the time on its machine: of an old file it is the one that
    does not answer.
    """
    try:
        data = json.loads(text)
        age = now - float(data["time"])
        if age > FRESH:
            return {writer: (age, FROZEN)}
        return {str(name): (float(seconds), str(where)) for name, (seconds, where) in data.get("still", {}).items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def _end(row: dict[str, Any]) -> EndStatus:
    """Return the row of an end; fields that a later version wrote are left out."""
    return EndStatus(**{each.name: row[each.name] for each in fields(EndStatus)})


def _by_channel(ends: Iterable[EndStatus]) -> tuple[ChannelStatus, ...]:
    """Group the ends by channel, in order of name, the control port last."""
    who = attrgetter("channel", "kind")
    ordered = sorted(ends, key=lambda end: (end.kind == CONTROL, *who(end)))
    return tuple(ChannelStatus(*key, tuple(group)) for key, group in groupby(ordered, who))


def _end_document(end: EndStatus) -> dict[str, Any]:
    return {key: value for key, value in asdict(end).items() if key not in ("channel", "kind")}
