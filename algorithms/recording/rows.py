"""Rows of metrics: `metrics/metrics.jsonl`, one JSON object a line, and the segments that went before it.

Every row has `time` (seconds, UTC), `role`, `steps` and `attempt` (the incarnation of the process that wrote it). An
attempt begins with a row of the role `run` that has `resumed_at`: later rows of earlier attempts were abandoned there.

A file of 16 MiB becomes `metrics-000001-x1.jsonl` and so on. Of three such segments the two oldest become one, `-x2`,
in which every second row of each role is left; of three `-x2` an `-x4`, and so on. So a run of any length keeps its
whole curve, the finer the newer: a terabyte of rows is left in 0.6 GB.
"""

import json
import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from surreal.algorithms.recording.disk import AppendLog, Disk

Row = dict[str, Any]
FILE = "metrics.jsonl"
SEGMENT_BYTES = 16 * 2**20
KEEP = 2
"""Segments of one resolution that stay as they are."""
SPAN = re.compile(r"([-.])x(\d+)\.")
"""Part of a segment's name that says how many rows one of its rows stands for."""
RESUMED = "resumed_at"
CHUNK_BYTES = 1 << 16
"""Bytes of lines, about, that are parsed at once."""


def read_rows(folder: Path) -> Iterator[Row]:
    """Yield the rows of a run as one curve, oldest first: without those that a later attempt took back.

    `folder` is the run's, or its `metrics`. Lines that are cut or damaged are left out.
    """
    limits = _limits(_parsed(folder, RESUMED.encode()))
    newest: dict[str, float] = {}
    for row in _parsed(folder):
        role, time = str(row.get("role")), row.get("time", 0.0)
        # A segment begins with the newest row of each role, which stood in the one before.
        if "time" in row and time == newest.get(role) or row["steps"] > limits.get(row.get("attempt", 0), float("inf")):
            continue
        newest[role] = time
        if RESUMED not in row:
            yield row


def _limits(rows: Iterator[Row]) -> dict[int, float]:
    """Return attempt -> the last step of it that counts: the lowest from which a later attempt went on."""
    starts = {row["attempt"]: row[RESUMED] for row in rows if RESUMED in row}
    lowest, limits = float("inf"), {}
    for attempt in sorted(starts, reverse=True):
        limits[attempt] = lowest
        lowest = min(lowest, starts[attempt])
    # Rows of earlier versions of surreal have no attempt.
    return {0: lowest, **limits}


def segments(folder: Path) -> list[Path]:
    """Return the files that hold the rows of a run, oldest first; `folder` is the run's, or its `metrics`."""
    inner = folder / "metrics"
    folder = inner if inner.is_dir() else folder
    return [*sorted(folder.glob("metrics-*.jsonl")), *folder.glob(FILE)]


def _parsed(folder: Path, having: bytes = b"") -> Iterator[Row]:
    """Yield the rows whose lines contain `having`: looking costs a tenth of parsing."""
    for path in segments(folder):
        with path.open("rb") as file:
            while lines := file.readlines(CHUNK_BYTES):
                yield from filter(_is_row, _rows([line for line in lines if having in line] if having else lines))


def _rows(lines: list[bytes]) -> list[Row]:
    """Return the rows in lines, all of them by one call where all are whole: that takes half the time."""
    try:
        found = json.loads(b"[" + b",".join(lines) + b"]")
        if len(found) == len(lines) and all(type(row) is dict for row in found):
            return found  # type: ignore[no-any-return]
    except ValueError:
        pass
    return [parse(line) for line in lines]


def parse(line: bytes) -> Row:
    """Return the row in a line; an empty one for a line that is cut or damaged."""
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _is_row(row: Row) -> bool:
    return isinstance(row.get("steps"), int | float) and isinstance(row.get("time", 0), int | float)


class RowLog:
    """The writing end of the rows."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder, self._disk = folder, disk
        self._file = AppendLog(folder / FILE, disk, b"\n")
        self._newest: dict[str, bytes] = {}

    def append(self, row: Row) -> None:
        """Write one row."""
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        if RESUMED not in row:
            self._newest[row["role"]] = line
        self._file.append(line)
        if self._file.size > SEGMENT_BYTES:
            self._disk.attempt("a new segment of metrics.jsonl", self._begin_segment)

    def _begin_segment(self) -> None:
        closed = segments(self._folder)[:-1]
        number = int(closed[-1].stem.split("-")[1]) + 1 if closed else 1
        self._file.path.rename(self._folder / f"metrics-{number:06d}-x1.jsonl")
        self._file.close()
        self._file = AppendLog(self._folder / FILE, self._disk, b"\n")
        # Programs that follow the newest file see where every role is.
        for line in self._newest.values():
            self._file.append(line)
        thin(segments(self._folder)[:-1], _lines, _role)

    def close(self) -> None:
        """Write what still can be written, and close the file."""
        self._file.close()


def _lines(data: bytes) -> Iterator[bytes]:
    return iter(data.splitlines(keepends=True))


def _role(line: bytes) -> str | None:
    row = parse(line)
    return None if RESUMED in row else str(row.get("role"))


def thin(closed: list[Path], records: Callable[[bytes], Iterator[bytes]], kind: Callable[[bytes], str | None]) -> None:
    """Join segments, oldest first, until at most `KEEP` of each resolution are left. Raises OSError.

    Of two that are joined every second record of each kind is left; a record whose kind is None is always kept.
    """
    spans: dict[int, list[Path]] = {}
    for path in closed:
        spans.setdefault(_span(path), []).append(path)
    span = 1
    while span in spans:
        paths = spans[span]
        while len(paths) > KEEP:
            joined = _join(paths.pop(0), paths.pop(0), 2 * span, records, kind)
            spans.setdefault(2 * span, []).append(joined)
        span *= 2


def _span(path: Path) -> int:
    found = SPAN.search(path.name)
    return int(found[2]) if found else 1


def _join(
    first: Path,
    second: Path,
    span: int,
    records: Callable[[bytes], Iterator[bytes]],
    kind: Callable[[bytes], str | None],
) -> Path:
    """Write every second record of both files to one that takes their place. Return it."""
    seen: dict[str, int] = {}
    unfinished = first.with_name(f".{first.name}.unfinished")
    with unfinished.open("wb") as file:
        for record in chain(records(first.read_bytes()), records(second.read_bytes())):
            of = kind(record)
            if of is not None:
                seen[of] = seen.get(of, 0) + 1
            if of is None or seen[of] % 2:
                file.write(record)
    unfinished.replace(first)
    second.unlink()
    return first.rename(first.with_name(SPAN.sub(rf"\1x{span}.", first.name, count=1)))
