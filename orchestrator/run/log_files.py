"""The logs of a run: files of every process and attempt, read as one stream in order of time.

On this machine each line begins with the moment at which the supervisor took it, in UTC. Lines that a cluster shipped
begin with `HH:MM:SS.mmm` only: the day follows from the file's own time, and a line without a time (a traceback) stays
with the one above it.
"""

import heapq
import os
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import BinaryIO

from surreal.orchestrator.run.home import Folder
from surreal.protocol.errors import NotFound, did_you_mean
from surreal.protocol.graph import role_of

SUPERVISOR = "supervisor"
POLL_SECONDS = 0.25
MOST_LISTED = 20
"""Processes that an error names one by one."""
LONGEST_LINE = 64 * 1024
"""Bytes of a line that are shown; a longer one comes in pieces."""

BLOCK = 64 * 1024
"""Bytes of a file that are read at once."""
SCAN_BYTES = 64 * 2**20
"""Bytes that are read to find the day of lines that have only a clock."""

_FILE = re.compile(r"(?P<role>.+)-(?P<index>\d+)\.(?P<incarnation>\d+)(?:\.(?P<segment>\d+))?\.log")
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z ")
_TIME = re.compile(rb"(\d\d):(\d\d):(\d\d)\.(\d\d\d) ")


@dataclass(frozen=True)
class LogLine:
    """One line of the log of one process."""

    source: str
    """`actor/3`, or `supervisor`."""
    text: str
    at: datetime | None = field(default=None, compare=False, repr=False)
    """Time of writing, in UTC, as far as that is known."""


Timed = tuple[datetime, LogLine]


def choose_sources(experiment: str, processes: Iterable[str], wanted: str | None) -> set[str]:
    """Return the sources (`actor/0`, `supervisor`) that `ROLE`, `ROLE/INDEX` or None (all) means. Raises NotFound."""
    known = {process: role_of(process) for process in processes} | {SUPERVISOR: SUPERVISOR}
    if wanted is None:
        return set(known)
    chosen = {name for name, role in known.items() if wanted in (name, role)}
    if not chosen:
        hint = did_you_mean(wanted, {*known, *known.values()})
        raise NotFound(f"{experiment}: has no role or process {wanted!r}{hint}. It has: {_listed(known)}.")
    return chosen


def _listed(known: Mapping[str, str]) -> str:
    """Return all processes by name where they are few, else each role with the range of its indices."""
    if len(known) <= MOST_LISTED:
        return ", ".join(sorted(known))
    counts = Counter(known.values())
    return ", ".join(f"{role}/0 to {role}/{n - 1}" if n > 1 else role for role, n in sorted(counts.items()))


def read(folder: Folder, sources: set[str], tail: int | None, is_over: Callable[[], bool] | None) -> Iterator[LogLine]:
    """Yield the lines that were printed; then, with `is_over`, new ones as they come, until the run is over.

    With `tail` only that many of the last lines are yielded, and the files are read from their ends.
    """
    files: dict[Path, LogFile] = {}
    _find_new(folder, sources, files)
    if tail is not None:
        for file in files.values():
            file.skip_to_tail(tail)
    streams = [file.new_lines(unfinished=is_over is None) for file in files.values()]
    lines: Iterable[Timed] = heapq.merge(*streams, key=_by_time)
    for _, line in deque(lines, tail) if tail is not None else lines:
        yield line
    while is_over is not None:
        # asked before reading, so that the last words of a run that has just ended are read
        last_round = is_over()
        _find_new(folder, sources, files)
        new = [timed for file in files.values() for timed in file.new_lines(unfinished=last_round)]
        yield from (line for _, line in sorted(new, key=_by_time))
        if last_round:
            return
        time.sleep(POLL_SECONDS)


def _by_time(timed: Timed) -> datetime:
    return timed[0]


def _find_new(folder: Folder, sources: set[str], files: "dict[Path, LogFile]") -> None:
    """Add the log files that have appeared, segments of one log in their order."""
    for path in sorted(folder.logs.glob("*.log"), key=_natural):
        source = source_of(path.name)
        if path not in files and source in sources:
            files[path] = LogFile(path, source)


def _natural(path: Path) -> list[str | int]:
    """Return a key that sorts `actor-0.2.log` before `actor-0.10.log`."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]


def source_of(name: str) -> str:
    """Return the process whose log a file of that name is."""
    match = _FILE.fullmatch(name)
    return f"{match['role']}/{match['index']}" if match else SUPERVISOR


@dataclass
class LogFile:
    """One log file, read from where the last reading ended."""

    path: Path
    source: str
    zone: tzinfo | None = None
    """Time zone of lines without a stamp; this machine's if None."""
    offset: int = 0
    last: datetime = datetime.min
    """Time of the newest line without a stamp, in that zone and without a mark of it."""
    _stamp: bytes = b""
    _at: datetime = datetime.min.replace(tzinfo=UTC)

    def skip_to_tail(self, lines: int) -> None:
        """Go on with the last lines, of which those that are too long count as several."""
        try:
            with self.path.open("rb") as file:
                self.offset = max(self.offset, _tail_offset(file, lines))
        except FileNotFoundError:
            pass

    def new_lines(self, unfinished: bool) -> Iterator[Timed]:
        """Yield the lines completed since the last call, with their times, and perhaps an unfinished one at the end."""
        while block := self._block(unfinished):
            for line in block:
                stamped = _STAMP.match(line)
                if stamped:
                    at, line = self._stamped(stamped[1]), line[stamped.end() :]
                else:
                    at = self._clocked(line, block)
                yield at, LogLine(self.source, line.decode(errors="replace").rstrip("\r\n"), at)

    def _stamped(self, stamp: bytes) -> datetime:
        """Return the moment of a stamp; many lines that come together have the same one."""
        if stamp != self._stamp:
            self._stamp, self._at = stamp, datetime.fromisoformat(stamp.decode()).replace(tzinfo=UTC)
        return self._at

    def _clocked(self, line: bytes, block: list[bytes]) -> datetime:
        """Return the moment of a line with a clock, or with nothing: then that of the line above."""
        if self._stamp:
            return self._at
        if self.last == datetime.min:
            self.last = self._began(sum(map(len, block)))
        self.last = moment(line, self.last)
        return self.last.replace(tzinfo=self.zone).astimezone(UTC)

    def _block(self, unfinished: bool) -> list[bytes]:
        """Return the next lines; the file is not kept open, since a large run has thousands."""
        lines: list[bytes] = []
        try:
            with self.path.open("rb") as file:
                end = file.seek(self.offset) + BLOCK
                while self.offset < end and (line := file.readline(LONGEST_LINE)):
                    if not (unfinished or line.endswith(b"\n") or len(line) == LONGEST_LINE):
                        break
                    self.offset += len(line)
                    lines.append(line)
        except FileNotFoundError:
            pass  # a segment that is no longer kept
        return lines

    def _began(self, taken: int) -> datetime:
        """Return when the first line of the block that was just read was written; `taken` are its bytes."""
        with self.path.open("rb") as file:
            start, size = self.offset - taken, file.seek(0, os.SEEK_END)
            written = datetime.fromtimestamp(self.path.stat().st_mtime, self.zone).replace(tzinfo=None)
            file.seek(start)
            if size - start <= SCAN_BYTES:
                return first_moment(file, written)
            lines = file.readlines(BLOCK)
            file.seek(size - BLOCK)
            return first_moment([*lines, *file.readlines()], written)


def _tail_offset(file: BinaryIO, lines: int) -> int:
    """Return where the last lines of a file begin, having read it backwards."""
    position = end = file.seek(0, os.SEEK_END)
    least, found = max(0, end - lines * LONGEST_LINE), 0
    while position > least:
        size = min(BLOCK, position - least)
        position = file.seek(position - size)
        block = file.read(size)
        # the end of the last line of the file begins no further one
        at = len(block) - (position + size == end and block.endswith(b"\n"))
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            found += 1
            if found == lines:
                return position + at + 1
    return least if lines else end


def moment(line: bytes, last: datetime) -> datetime:
    """Return when a line was written, given when the one above it was: a clock gone far back means midnight."""
    match = _TIME.match(line)
    if not match:
        return last
    hour, minute, second, milli = map(int, match.groups())
    if hour > 23 or minute > 59 or second > 59:
        return last
    moment = last.replace(hour=hour, minute=minute, second=second, microsecond=1000 * milli)
    return moment + timedelta(days=1) if last - moment > timedelta(hours=12) else moment


def first_moment(lines: Iterable[bytes], written: datetime) -> datetime:
    """Return when the first line was written: its clock, on the day that brings the last line to the file's time."""
    first = last = None
    for line in lines:
        if _TIME.match(line):
            last = moment(line, last or datetime(2000, 1, 1))
            first = first or last
    if first is None or last is None:
        return written
    return first + (_midnight(written) - _midnight(last))


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
