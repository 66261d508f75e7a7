"""The supervisor's end of what processes print: pipes in, files of bounded size out.

A process that printed to a file itself would raise where the disk is full, and could fill the disk. Each line gets the
moment at which it came, in UTC, so that files can be merged and read from their end.
"""

import fcntl
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

SEGMENT_BYTES = 16 * 2**20
"""A log goes on in a new file, a segment, when it has this size."""
KEEP_SEGMENTS = 4
"""Segments kept of each start of a process: the first, which says how it began, and the newest."""
CHUNK_BYTES = 256 * 1024
PIPE_BYTES = 1024 * 1024
"""Output that a pipe holds while the supervisor is busy, on Linux."""
TAIL_BYTES = 4096
"""Last output of a process that is kept in memory, to say why it died when no file could be written."""

SegmentPath = Callable[[int], Path]
"""Number of a segment, from 1 -> its file."""


def stamp() -> bytes:
    """Return the prefix of a line that came now: `2026-11-28T07:05:01.123Z `."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")[:-6].encode() + b"Z "


@dataclass(eq=False)
class LogWriter:
    """One log: stamped lines in segments. A disk that takes nothing costs the lines, which are counted."""

    path: SegmentPath
    segment_bytes: int = SEGMENT_BYTES
    trouble: str = field(default="", init=False)
    """The reason why the newest lines could not be written; empty while they can."""
    tail: bytes = field(default=b"", init=False)
    """The last output, to say why a process died when no file could be written."""
    _segment: int = field(default=1, init=False)
    _size: int = field(default=0, init=False)
    _lost: int = field(default=0, init=False)
    _at_start: bool = field(default=True, init=False)
    _descriptor: int | None = field(default=None, init=False)

    def write(self, data: bytes) -> None:
        """Append output, which may begin and end within a line."""
        self.tail = (self.tail + data)[-TAIL_BYTES:]
        now = stamp()
        text = (now if self._at_start else b"") + data.replace(b"\n", b"\n" + now)
        ends = data.endswith(b"\n")
        try:
            self._append(text[: -len(now)] if ends else text)
        except OSError as error:
            self.trouble = error.strerror or str(error)
            self._lost += data.count(b"\n") or 1
            self._at_start = True
        else:
            self.trouble, self._at_start = "", ends

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, text: bytes) -> None:
        if self._descriptor is None or self._size >= self.segment_bytes:
            self._open()
        if self._lost:
            self._put(b"\n%s(%d lines are missing here: %s)\n" % (stamp(), self._lost, self.trouble.encode()))
            self._lost = 0
        self._put(text)

    def _put(self, text: bytes) -> None:
        """Write all of it. Raises OSError, with what fits written: the next text begins a new line."""
        assert self._descriptor is not None
        while text:
            written = os.write(self._descriptor, text)
            text, self._size = text[written:], self._size + written

    def _open(self) -> None:
        """Open the first or the next segment, and remove one that is no longer kept."""
        begun = self._descriptor is not None
        number = self._segment + begun
        descriptor = os.open(self.path(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.close()
        self._descriptor, self._segment = descriptor, number
        self._size = os.fstat(descriptor).st_size
        if number > KEEP_SEGMENTS:
            self.path(number - KEEP_SEGMENTS + 1).unlink(missing_ok=True)


class LogPump:
    """The pipes of all processes that run."""

    def __init__(self) -> None:
        self._writers: dict[int, LogWriter] = {}

    def open(self, writer: LogWriter) -> tuple[int, int]:
        """Return both ends of a new pipe: what is read from the first goes to `writer`, the second is a process's."""
        readable, writable = os.pipe()
        os.set_blocking(readable, False)
        if sys.platform == "linux":
            with suppress(OSError):
                fcntl.fcntl(readable, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._writers[readable] = writer
        return readable, writable

    def close(self, readable: int) -> None:
        """Take in what is left in a pipe whose process has ended, and close both it and its log."""
        writer = self._writers.pop(readable)
        while data := _read(readable):
            writer.write(data)
        os.close(readable)
        writer.close()

    def register(self, poll: "select.poll") -> None:
        """Have `poll` report every pipe that has something to read."""
        for readable in self._writers:
            poll.register(readable, select.POLLIN)

    def take(self, ready: int) -> bool:
        """Take in what one pipe has; False where that is nothing, since all writers of it are gone."""
        data = _read(ready) if ready in self._writers else b""
        if data:
            self._writers[ready].write(data)
        return bool(data)

    @property
    def trouble(self) -> str:
        """The reason why output cannot be written; empty while it can."""
        return next((writer.trouble for writer in self._writers.values() if writer.trouble), "")


def _read(descriptor: int) -> bytes:
    """Return what a pipe has now; empty for nothing and for its end."""
    try:
        return os.read(descriptor, CHUNK_BYTES)
    except BlockingIOError:
        return b""
