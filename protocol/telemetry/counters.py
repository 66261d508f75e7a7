"""Counters of the channels of a run.

Each process reports its own with its beats; the process that serves control keeps the newest of every process.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from surreal.protocol.transport.sessions import DEAD_AFTER_S
from surreal.protocol.transport.stats import Stats
from surreal.protocol.wiring import Wiring

MAX_ENDS = 64
"""Ends of channels that one process reports; a report is then at most 10 kB."""
CONTROL = "control"
"""Name of the control port beside the channels, in the process that serves it."""

End = tuple[str, str]
"""(verb, channel): `("send", "experience")`."""
_ZERO = Stats()
_FIELDS: dict[str, type[int | float]] = {name: type(count) for name, count in vars(_ZERO).items()}


class Counting(Protocol):
    """An end of a channel, as far as this module cares."""

    @property
    def stats(self) -> Stats:
        """A copy of its counters."""


def report(ends: Mapping[End, Counting]) -> dict[str, Any]:
    """Return the counters of `ends` as plain data, with the time on this process's own clock, from which rates are
    made.
    """
    opened = list(ends.items())[:MAX_ENDS]  # the working thread may open one meanwhile
    # vars() keeps the fields' order, and costs a twentieth of dataclasses.astuple()
    return {"at": time.monotonic(), "ends": [[*end, *vars(channel.stats).values()] for end, channel in opened]}


def parse(data: Any) -> tuple[float, dict[End, Stats]]:
    """Return the time and the counters in a report. Raises ValueError for anything that `report` cannot have made."""
    if not isinstance(data, dict) or data.keys() != {"at", "ends"} or not isinstance(data["ends"], list):
        raise ValueError("no report of counters")
    if len(data["ends"]) > MAX_ENDS:
        raise ValueError(f"{len(data['ends'])} ends of channels, the limit is {MAX_ENDS}")
    return float(_checked("at", data["at"], float)), dict(_parse_end(row) for row in data["ends"])


def _parse_end(row: Any) -> tuple[End, Stats]:
    if not isinstance(row, list) or len(row) != 2 + len(_FIELDS) or not all(isinstance(word, str) for word in row[:2]):
        raise ValueError(f"an end of a channel is two names and {len(_FIELDS)} numbers")
    verb, channel, *counts = row
    if not (verb.isascii() and verb.isidentifier() and len(verb) <= 16):
        raise ValueError(f"{verb[:40]!r} is no verb")
    named = zip(_FIELDS.items(), counts, strict=True)
    return (verb, channel), Stats(**{name: _checked(name, count, kind) for (name, kind), count in named})


def _checked(name: str, count: Any, kind: type[int | float]) -> Any:
    """Return `count` if it is a number of that kind that a counter can have: finite, not negative, below 2^63."""
    if type(count) is not kind or not 0 <= count < 2**63:  # nan is not, either
        raise ValueError(f"{name} cannot be {str(count)[:40]}")
    return count


@dataclass(frozen=True)
class Reading:
    """The newest report of one process."""

    incarnation: int
    at: float
    """The reporter's clock."""
    heard: float
    """Our monotonic clock."""
    ends: dict[End, Stats]
    before: dict[End, Stats] = field(default_factory=dict)
    """The report before this one, of the same incarnation."""
    seconds: float = math.nan
    """Between those two."""


@dataclass(eq=False)
class CounterTable:
    """The newest counters of every process of the run. Any thread may read."""

    wiring: Wiring
    """The run whose processes and channels are accepted, which bounds the table."""
    _readings: dict[str, Reading] = field(default_factory=dict, init=False)

    @property
    def kinds(self) -> dict[str, str]:
        """Channel -> its kind, with the control port."""
        return {CONTROL: CONTROL, **{name: wired.kind for name, wired in self.wiring.channels.items()}}

    def take(self, process: str, incarnation: int, data: Any) -> None:
        """Keep a report of `process` if it is newer than the one there is. Raises ValueError for garbage."""
        if not self.wiring.has(process):
            raise ValueError(f"this run has no process {process[:40]!r}")
        at, ends = parse(data)
        if unknown := {name for _, name in ends} - self.kinds.keys():
            raise ValueError(f"this run has no channel {sorted(unknown)[0][:40]!r}")
        last = self._readings.get(process)
        if last is None or incarnation > last.incarnation:
            self._readings[process] = Reading(incarnation, at, time.monotonic(), ends)
        elif incarnation == last.incarnation and at > last.at:
            self._readings[process] = Reading(incarnation, at, time.monotonic(), ends, last.ends, at - last.at)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each end of each process: its counters, and the rates between its last two reports.

        Rates are null before the second report and for a process that is silent.
        """
        now, kinds = time.monotonic(), self.kinds
        return [
            {
                "channel": channel,
                "kind": kinds[channel],
                "process": process,
                "incarnation": reading.incarnation,
                "end": verb,
                **vars(stats),
                **_rates(reading.before.get((verb, channel), _ZERO), stats, _span(reading, now)),
            }
            for process, reading in sorted(self._readings.items())
            for (verb, channel), stats in reading.ends.items()
        ]

    def incarnations(self) -> dict[str, int]:
        """Return the newest incarnation of each process."""
        return {process: reading.incarnation for process, reading in sorted(self._readings.items())}


def _span(reading: Reading, now: float) -> float:
    """Return seconds that the rates of a reading are about; nan where there are none."""
    return reading.seconds if now - reading.heard < DEAD_AFTER_S else math.nan


def _rates(before: Stats, after: Stats, seconds: float) -> dict[str, float | None]:
    if math.isnan(seconds):
        return {"messages_per_second": None, "bytes_per_second": None, "blocked_share": None}
    return {
        "messages_per_second": max(0, after.messages - before.messages) / seconds,
        "bytes_per_second": max(0, after.bytes - before.bytes) / seconds,
        "blocked_share": min(1.0, max(0.0, after.blocked_seconds - before.blocked_seconds) / seconds),
    }
