"""Chunks: pieces of a profile as they travel over the control port and lie in the run folder, a line each.

Every reader checks: a chunk is of a process that may be broken, and a file that may be cut.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from surreal.protocol.profiling.spans import KINDS, MAX_KEYS, MAX_NAME, RESOURCES, Mark

MOST_MARKS = 1000
"""Spans of one chunk, which travels in a packet of 64 KiB."""
MOST_OPEN = 64
"""Spans under way that a chunk names."""
ROW = np.dtype(
    [
        *(("key", "<u2"), ("parent", "<u2"), ("thread", "<u4"), ("start", "<i8"), ("duration", "<i8")),
        *(("count", "<u4"), ("kind", "<u1")),
    ]
)
_INTS = ("number", "begin", "end", "offset", "error", "cpu", "delayed", "lost")
_LARGEST = 2**62


@dataclass(frozen=True)
class Chunk:
    """A piece of one process's profile. Times are nanoseconds on the process's own monotonic clock."""

    profile: str
    number: int
    """Counts the chunks of a process from 0."""
    begin: int
    end: int
    offset: int
    """Nanoseconds to add for the clock of the process that serves control."""
    error: int
    """Largest error of the offset; -1 where it was not measured."""
    cpu: int
    """Nanoseconds of CPU that the working thread used since the profile began."""
    delayed: int
    """Nanoseconds in which the working thread could have run, and had no core, since the profile began."""
    lost: int
    """Spans that were dropped since the chunk before, for they came too fast."""
    main: int
    """The working thread."""
    names: list[tuple[str, str]]
    """All names with their resources, by number."""
    rows: "np.ndarray[Any, Any]"
    """Spans that ended, of the type ROW."""
    open: "np.ndarray[Any, Any]"
    """Spans under way at `end`."""
    costs: dict[str, float] = field(default_factory=dict)
    """Nanoseconds that one event of each type costs here."""
    calls: list[list[int]] = field(default_factory=list)
    """Sums of interception, per key: nanoseconds watched, nanoseconds in C, calls of C, events."""

    def to_data(self) -> dict[str, Any]:
        """Return plain data for a packet."""
        return {
            "profile": self.profile,
            **{name: getattr(self, name) for name in (*_INTS, "main", "costs", "calls")},
            "names": [list(name) for name in self.names],
            "rows": self.rows.tobytes(),
            "open": self.open.tobytes(),
        }

    @classmethod
    def parse(cls, data: Any) -> "Chunk":
        """Return the chunk that `to_data` made. Raises ValueError for anything else."""
        if not isinstance(data, dict):
            raise ValueError("no chunk of a profile")
        try:
            ints = {name: _int(data[name]) for name in (*_INTS, "main")}
            names = [_name(entry) for entry in _list(data["names"], MAX_KEYS)]
            rows, under = _rows(data["rows"], MOST_MARKS, len(names)), _rows(data["open"], MOST_OPEN, len(names))
            costs = {str(name)[:MAX_NAME]: float(cost) for name, cost in dict(data["costs"]).items()}
            calls = [[_int(number) for number in _list(entry, 5)] for entry in _list(data["calls"], MAX_KEYS)]
            profile = str(data["profile"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"no chunk of a profile: {error}") from None
        return cls(profile=profile, names=names, rows=rows, open=under, costs=costs, calls=calls, **ints)

    def to_line(self) -> bytes:
        """Return one line of JSON."""
        data = self.to_data()
        packed = {name: base64.b64encode(data[name]).decode() for name in ("rows", "open")}
        return json.dumps({**data, **packed}).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Chunk":
        """Return the chunk of a line. Raises ValueError for a line that was cut or damaged."""
        data = json.loads(line)
        if isinstance(data, dict):
            data |= {name: base64.b64decode(data.get(name, "")) for name in ("rows", "open")}
        return cls.parse(data)


def packed(marks: Sequence[Mark]) -> "np.ndarray[Any, Any]":
    """Return marks as an array of the type ROW; thread numbers are cut to 32 bits, which tells them apart.

    Durations and counts end at the largest that travel.
    """
    cut = [
        (*mark[:2], mark[2] & 0xFFFFFFFF, mark[3], min(mark[4], _LARGEST - 1), min(mark[5], 2**32 - 1), mark[6])
        for mark in marks
    ]
    return np.array(cut, dtype=ROW)


def _rows(data: Any, most: int, keys: int) -> "np.ndarray[Any, Any]":
    if not isinstance(data, bytes) or len(data) % ROW.itemsize or len(data) > most * ROW.itemsize:
        raise ValueError(f"no table of at most {most} spans")
    rows = np.frombuffer(data, dtype=ROW)
    sane = (rows["key"] < keys) & (rows["parent"] < keys) & (rows["duration"] >= 0) & (rows["start"] > 0)
    sane &= rows["kind"] < len(KINDS)
    if not bool(np.all(sane & (rows["duration"] < _LARGEST))):
        raise ValueError("spans without a name, or that end before they begin")
    return rows


def _name(entry: Any) -> tuple[str, str]:
    name, resource = _list(entry, 2)
    if not isinstance(name, str) or len(name) > MAX_NAME or not name.isprintable() or resource not in RESOURCES:
        raise ValueError(f"{str(entry)[:80]} is no name with a resource")
    return name, resource


def _list(data: Any, most: int) -> list[Any]:
    if not isinstance(data, list) or len(data) > most:
        raise ValueError(f"no list of at most {most}")
    return data


def _int(value: Any) -> int:
    if type(value) is not int or not -_LARGEST < value < _LARGEST:
        raise ValueError(f"{str(value)[:40]} is no number of a profile")
    return value
