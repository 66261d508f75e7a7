"""Timelines: the recorded spans of every process of a run, on one clock."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from surreal.protocol.profiling.chunks import Chunk
from surreal.protocol.profiling.request import DONE
from surreal.protocol.profiling.spans import KINDS, SPAN

JUMP_NS = 1_000_000
"""Change of a clock's offset, beyond what its measurement leaves open, from which the clock is said to have jumped."""
OTHERS = 1
"""Lane of the spans of threads that are not the working one."""


class Interval(NamedTuple):
    """One span. Times are nanoseconds on the clock of the process that serves control."""

    start: int
    end: int
    name: str
    resource: str
    lane: int
    """0 is the working thread."""
    pieces: tuple["Piece", ...] = ()


class Piece(NamedTuple):
    """An operation inside a span, too small and too often for spans of its own."""

    name: str
    resource: str
    nanoseconds: int
    times: int
    kind: str = "timed"
    """One of KINDS, which says what each of them cost to record."""


class Calls(NamedTuple):
    """Interception in one operation."""

    watched: int
    """Nanoseconds."""
    in_c: int
    """Nanoseconds."""
    calls: int
    events: int


@dataclass(frozen=True)
class Timeline:
    """Records of one start of one process."""

    process: str
    incarnation: int
    begin: int
    end: int
    intervals: list[Interval]
    gaps: list[tuple[int, int]]
    """Times whose spans were dropped because they came too fast."""
    cpu: int
    """Nanoseconds of CPU of the working thread."""
    delayed: int
    """Nanoseconds in which the working thread could have run, and had no core."""
    clock_error: int
    """Nanoseconds by which its clock may be off; -1 where that was not measured."""
    costs: dict[str, float]
    calls: dict[tuple[str, str], Calls] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def role(self) -> str:
        """The role of the process."""
        return self.process.partition("/")[0]

    @property
    def wall(self) -> int:
        """Nanoseconds that were recorded."""
        return self.end - self.begin


def read_timelines(folder: Path) -> list[Timeline]:
    """Return the timelines in the folder of a profile, in order of process. A file that was cut is read as far as it
    goes."""
    found = [_read(path) for path in sorted(folder.glob("*.spans"))]
    timelines = sorted((each for each in found if each), key=lambda each: (each.role, _index(each.process)))
    last = max((each.end for each in timelines), default=0)
    return [_with_its_end(each, last) for each in timelines]


def dropped_chunks(folder: Path) -> int:
    """Return the number of chunks that the run dropped because the profile was too large."""
    try:
        return int(json.loads((folder / DONE).read_text())["dropped_chunks"])
    except (OSError, ValueError, KeyError):
        return 0


def _index(process: str) -> int:
    return int(process.partition("/")[2])


def _with_its_end(timeline: Timeline, last: int) -> Timeline:
    """Return a timeline that says so where its process ended before the others: it died, or was restarted."""
    early = (last - timeline.end) / 1e9
    if early < 2.5:
        return timeline
    note = f"{timeline.process} was recorded up to {early:.1f} s before the end: it ended, or lost contact"
    return Timeline(**{**vars(timeline), "notes": (*timeline.notes, note)})


def _read(path: Path) -> Timeline | None:
    role, _, rest = path.name.removesuffix(".spans").rpartition("-")
    index, _, incarnation = rest.partition(".")
    process, chunks, damaged = f"{role}/{index}", list[Chunk](), 0
    for line in path.read_bytes().splitlines():
        try:
            chunks.append(Chunk.from_line(line))
        except ValueError:
            damaged += 1
    if not chunks:
        return None
    notes = [f"{process}: {damaged} damaged pieces were left out"] if damaged else []
    return assemble(process, int(incarnation), chunks, notes)


def assemble(process: str, incarnation: int, chunks: Sequence[Chunk], notes: Iterable[str] = ()) -> Timeline:
    """Return the timeline of the chunks (at least one) of one process."""
    offsets, error, jumped = _offsets(chunks)
    intervals: list[Interval] = []
    gaps: list[tuple[int, int]] = []
    before = chunks[0].begin + offsets[0]
    for chunk, offset in zip(chunks, offsets, strict=True):
        if chunk.begin + offset > before:
            # A chunk begins where the one before it ended: some between did not arrive.
            gaps.append((before, chunk.begin + offset))
        _add_intervals(intervals, chunk, offset, under_way=chunk is chunks[-1])
        if chunk.lost:
            until = int(chunk.rows["start"].min()) + offset if len(chunk.rows) else chunk.end + offset
            gaps.append((before, max(before, until)))
        before = chunk.end + offset
    last = chunks[-1]
    calls = {tuple(last.names[key]): Calls(*rest) for key, *rest in last.calls if key < len(last.names)}
    said = [f"{process}: its clock jumped by {jumped / 1e6:,.1f} ms"] if jumped else []
    lost = sum(chunk.lost for chunk in chunks)
    said += [f"{process}: {lost:,} spans came too fast and were dropped"] if lost else []
    return Timeline(
        process,
        incarnation,
        chunks[0].begin + offsets[0],
        max(before, chunks[0].begin + offsets[0] + 1),
        intervals,
        gaps,
        last.cpu,
        last.delayed,
        error,
        last.costs,
        {(name, resource): each for (name, resource), each in calls.items()},
        (*notes, *said),
    )


def _offsets(chunks: Sequence[Chunk]) -> tuple[list[int], int, int]:
    """Return the offset of each chunk's clock, its largest error, and by how much the clock jumped on the way."""
    measured = [chunk for chunk in chunks if chunk.error >= 0]
    if not measured:
        return [0] * len(chunks), -1, 0
    best = min(measured, key=lambda chunk: chunk.error)
    offsets, jumped = [], 0
    for chunk in chunks:
        off = chunk.offset - best.offset
        if chunk.error >= 0 and abs(off) > chunk.error + best.error + JUMP_NS:
            jumped = off if abs(off) > abs(jumped) else jumped
            offsets.append(chunk.offset)
        else:
            offsets.append(best.offset)
    return offsets, best.error, jumped


def _add_intervals(found: list[Interval], chunk: Chunk, offset: int, under_way: bool) -> None:
    """Add the spans of a chunk to those before, with those that had not ended if it is the last."""
    main = chunk.main & 0xFFFFFFFF
    for key, _, thread, start, duration, count, kind in chunk.rows.tolist():
        name, resource = chunk.names[key]
        if kind == SPAN:
            lane = 0 if thread == main else OTHERS
            found.append(Interval(start + offset, start + offset + duration, name, resource, lane))
        elif found and found[-1].start == start + offset:
            # pieces follow their span
            span = found[-1]
            found[-1] = span._replace(pieces=(*span.pieces, Piece(name, resource, duration, count, KINDS[kind])))
    for key, _, thread, start, duration, *_ in chunk.open.tolist() if under_way else ():
        name, resource = chunk.names[key]
        lane = 0 if thread == main else OTHERS
        found.append(Interval(start + offset, start + offset + duration, name, resource, lane))
