"""Writing that outlives a full, failing or read-only disk.

A failure is said once and counted; what could not be written waits in memory, within a bound, until there is room.
"""

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from logging import getLogger
from pathlib import Path
from time import monotonic

log = getLogger(__name__)
RETRY_SECONDS = 1.0
"""Time between two tries of what failed."""
SAY_AGAIN_SECONDS = 60.0
"""Time before the same failure is said again."""
PADDED_BYTES = 2048
"""Length of a small file, spaces included."""
MAX_WAITING_BYTES = 8 * 2**20
"""Bytes of one file that wait in memory; beyond it the oldest records are lost, and counted."""


@dataclass
class _Failure:
    """Kind of file that cannot be written now."""

    since: datetime
    why: str = ""
    tried: float = 0.0
    """Time of the last attempt, monotonic."""


def since(moment: datetime) -> str:
    """Return `since 2026-11-30 04:12 UTC`."""
    return f"since {moment:%Y-%m-%d %H:%M} UTC"


class Disk:
    """Attempts to write, none of which raises."""

    def __init__(self) -> None:
        self.errors = 0
        """Failed attempts so far."""
        self.lost = 0
        """Records that were given up."""
        self._failing: dict[str, _Failure] = {}
        self._said: dict[str, float] = {}

    @property
    def trouble(self) -> str:
        """Sentence about all that cannot be written now, and since when; empty while everything can."""
        causes: dict[str, list[str]] = {}
        for what, failure in self._failing.items():
            causes.setdefault(failure.why, []).append(what)
        if not causes:
            return ""
        first = min(failure.since for failure in self._failing.values())
        failing = "; ".join(f"{', '.join(files)}: {why}" for why, files in causes.items())
        return f"{since(first)} cannot write {failing}"

    def attempt(self, what: str, write: Callable[[], object], every: float = RETRY_SECONDS) -> bool:
        """Call `write`. Return False if it raised OSError, or did so less than `every` seconds ago."""
        if what in self._failing and monotonic() - self._failing[what].tried < every:
            return False
        try:
            write()
        except OSError as error:
            self._failed(what, error)
            return False
        if self._failing.pop(what, None) is not None:
            log.warning("disk: %s can be written again", what)
        return True

    def _failed(self, what: str, error: OSError) -> None:
        self.errors += 1
        now, failure = monotonic(), self._failing.setdefault(what, _Failure(datetime.now(UTC)))
        failure.tried, failure.why = now, error.strerror or str(error)
        if now - self._said.get(what, -SAY_AGAIN_SECONDS) >= SAY_AGAIN_SECONDS:
            self._said[what] = now
            log.error("disk: cannot write %s: %s; training goes on, and it is written when there is room", what, error)


class AppendLog:
    """Records appended to a file, each whole and in order, as far as the disk allows."""

    def __init__(self, path: Path, disk: Disk, separator: bytes = b"", kind: str = "") -> None:
        """Open nothing yet. A file that a crash left without `separator` at its end gets one first.

        `kind` is what errors call the file: its name by default.
        """
        self.path, self._kind = path, kind or path.name
        self._disk, self._separator = disk, separator
        self._file: int | None = None
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._torn = False
        self.size = path.stat().st_size if path.exists() else 0
        """Bytes in the file."""

    def append(self, record: bytes) -> None:
        """Write `record` now, or once there is room."""
        self._waiting.append(record)
        self._waiting_bytes += len(record)
        while self._waiting_bytes > MAX_WAITING_BYTES and len(self._waiting) > 1 + self._torn:
            # The first record may be half in the file already; its rest has to follow.
            oldest = self._waiting[self._torn]
            del self._waiting[self._torn]
            self._waiting_bytes -= len(oldest)
            self._disk.lost += 1
        self.flush()

    def flush(self) -> bool:
        """Write what waits. Return True if nothing waits any more."""
        return not self._waiting or self._disk.attempt(self._kind, self._drain)

    def _drain(self) -> None:
        while self._waiting:
            record = self._waiting[0]
            written = os.write(self._open(), record)
            self.size += written
            self._waiting_bytes -= written
            self._torn = written < len(record)
            if self._torn:
                self._waiting[0] = record[written:]
            else:
                self._waiting.popleft()

    def _open(self) -> int:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            self.size = os.fstat(self._file).st_size
            cut = self.size and self._separator and os.pread(self._file, 1, self.size - 1) != self._separator
            if cut:
                self.size += os.write(self._file, self._separator)
        return self._file

    def close(self) -> None:
        """Write what still can be written, and close the file."""
        self.flush()
        if self._file is not None:
            os.close(self._file)
            self._file = None


def replace_file(path: Path, text: str) -> None:
    """Replace the small file `path` by `text`, whole or not at all. Raises OSError.

    On a full disk the old file's own block is written over: that needs no room. Spaces fill it for a longer text.
    """
    data, unfinished = text.encode().ljust(PADDED_BYTES), path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        # where there is no old file, that is not the cause
        if not path.exists() or len(data) > path.stat().st_size:
            raise
        with path.open("r+b") as file:
            file.write(data)
