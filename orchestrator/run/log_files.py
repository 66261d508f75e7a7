"""The logs of a run: one file per process and attempt, read as one stream in order of time.

Lines begin with `HH:MM:SS.mmm`; the day follows from the file's own time. A line without a time (a traceback) stays
with the one above it.
"""

import heapq
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

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

_FILE = re.compile(r"(?P<role>.+)-(?P<index>\d+)\.(?P<incarnation>\d+)\.log")
_TIME = re.compile(rb"(\d\d):(\d\d):(\d\d)\.(\d\d\d) ")


@dataclass(frozen=True)
class LogLine:
    """One line of the log of one process."""

    source: str
    """`actor/3`, or `supervisor`."""
    text: str
    at: datetime | None = field(default=None, compare=False, repr=False)
    """When it was written, in UTC, as far as that is known."""


Timed = tuple[datetime, LogLine]


def choose_sources(experiment: str, processes: Iterable[str], wanted: str | None) -> set[str]:
    """The sources (`actor/0`, `supervisor`) that `ROLE`, `ROLE/INDEX` or None (all) means. Raises NotFound."""
    known = {process: role_of(process) for process in processes} | {SUPERVISOR: SUPERVISOR}
    if wanted is None:
        return set(known)
    chosen = {name for name, role in known.items() if wanted in (name, role)}
    if not chosen:
        hint = did_you_mean(wanted, {*known, *known.values()})
        raise NotFound(f"{experiment} has no role or process {wanted!r}{hint}; it has: {_listed(known)}")
    return chosen


def _listed(known: Mapping[str, str]) -> str:
    """All processes by name where they are few, else each role with the range of its indices."""
    if len(known) <= MOST_LISTED:
        return ", ".join(sorted(known))
    counts = Counter(known.values())
    return ", ".join(f"{role}/0 to {role}/{n - 1}" if n > 1 else role for role, n in sorted(counts.items()))


def read(folder: Folder, sources: set[str], tail: int | None, is_over: Callable[[], bool] | None) -> Iterator[LogLine]:
    """The lines there are; then, with `is_over`, new ones as they come, until the run is over."""
    files: dict[Path, LogFile] = {}
    _find_new(folder, sources, files)
    each = [file.new_lines(unfinished=is_over is None) for file in files.values()]
    lines: Iterable[Timed] = heapq.merge(*each, key=_by_time)
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
    """Add the log files that have appeared."""
    for path in sorted(folder.logs.glob("*.log")):
        source = source_of(path.name)
        if path not in files and source in sources:
            files[path] = LogFile(path, source)


def source_of(name: str) -> str:
    """The process whose log a file of that name is."""
    match = _FILE.fullmatch(name)
    return f"{match['role']}/{match['index']}" if match else SUPERVISOR


@dataclass
class LogFile:
    """One log file, read from where the last reading ended."""

    path: Path
    source: str
    zone: tzinfo | None = None
    """Of the clock that its lines were written by; this machine's if None."""
    offset: int = 0
    last: datetime = datetime.min

    def new_lines(self, unfinished: bool) -> Iterator[Timed]:
        """The lines completed since the last call, with their times, and perhaps an unfinished one at the end."""
        if self.last == datetime.min:
            self.last = self._began()
        while block := self._block(unfinished):
            for line in block:
                self.last = moment(line, self.last)
                text = line.decode(errors="replace").rstrip("\r\n")
                yield self.last, LogLine(self.source, text, self.last.replace(tzinfo=self.zone).astimezone(UTC))

    def _block(self, unfinished: bool) -> list[bytes]:
        """The next lines; the file is not kept open, since a large run has thousands."""
        lines: list[bytes] = []
        with self.path.open("rb") as file:
            end = file.seek(self.offset) + BLOCK
            while self.offset < end and (line := file.readline(LONGEST_LINE)):
                if not (unfinished or line.endswith(b"\n") or len(line) == LONGEST_LINE):
                    break
                self.offset += len(line)
                lines.append(line)
        return lines

    def _began(self) -> datetime:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return first_moment(file, datetime.fromtimestamp(self.path.stat().st_mtime, self.zone).replace(tzinfo=None))


def moment(line: bytes, last: datetime) -> datetime:
    """When a line was written, given when the one above it was: a clock that has gone far back means midnight."""
    match = _TIME.match(line)
    if not match:
        return last
    hour, minute, second, milli = map(int, match.groups())
    if hour > 23 or minute > 59 or second > 59:
        return last
    moment = last.replace(hour=hour, minute=minute, second=second, microsecond=1000 * milli)
    return moment + timedelta(days=1) if last - moment > timedelta(hours=12) else moment


def first_moment(lines: Iterable[bytes], written: datetime) -> datetime:
    """When the first line was written: its clock, on the day that brings the last line to the time of the file."""
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
