"""Reading of rows while they are written: only the lines that are new, and all again where the curve changed."""

import os
from pathlib import Path

from surreal.algorithms.recording.rows import FILE, RESUMED, Row, parse, read_rows, segments

MAX_LINE = 1 << 20
"""Bytes that one row has at most."""


class RowFollower:
    """The rows of one run, each returned once. Not for several threads."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of the metrics, or that of the run; it need not exist yet."""
        self._folder = folder
        self._newest: dict[str, float] = {}
        self._files: list[tuple[str, int]] = []
        self._listed: tuple[int, ...] = ()
        self._offset = 0

    def new(self) -> tuple[bool, list[Row]]:
        """Return False and the rows since the last call; True and the whole curve where earlier rows do not count.

        That is at the first call, after a rotation of the file, and where a resumed attempt took rows back.
        """
        listed = self._listing()
        files = self._files
        if not listed or listed != self._listed:
            files = [(path.name, path.stat().st_ino) for path in segments(self._folder) if path.exists()]
        self._listed = listed
        rows = self._appended() if files == self._files else None
        if rows is not None:
            return False, self._fresh(rows)
        self._files, self._offset = files, self._whole_lines()
        self._newest.clear()
        return True, self._fresh(list(read_rows(self._folder)))

    def _appended(self) -> list[Row] | None:
        """Return the rows since the last reading; None where an attempt began, which takes rows back."""
        size = self._size()
        if size == self._offset:
            return []
        with self._live().open("rb") as file:
            file.seek(self._offset)
            text = file.read(max(0, size - self._offset))
        whole = text.rfind(b"\n") + 1
        rows = [row for row in map(parse, text[:whole].splitlines()) if _has_steps(row)]
        if size < self._offset or any(RESUMED in row for row in rows):
            return None
        self._offset += whole
        return rows

    def _fresh(self, rows: list[Row]) -> list[Row]:
        """Return the rows without those that were returned before: a line read while it was written comes again."""
        fresh = []
        for row in rows:
            process, time = str(row.get("role", "")), row.get("time", 0.0)
            if time and time <= self._newest.get(process, 0.0):
                continue
            self._newest[process] = time
            fresh.append(row)
        return fresh

    def _listing(self) -> tuple[int, ...]:
        """Return numbers that change with every file that comes or goes; none where there is no folder yet."""
        live = self._live()
        try:
            return os.stat(live.parent).st_mtime_ns, os.stat(live).st_ino
        except OSError:
            return ()

    def _live(self) -> Path:
        inner = self._folder / "metrics"
        return (inner if inner.is_dir() else self._folder) / FILE

    def _whole_lines(self) -> int:
        """Return the bytes of the file up to its last newline: a line after it is being written."""
        size = self._size()
        if not size:
            return 0
        with self._live().open("rb") as file:
            file.seek(start := max(0, size - MAX_LINE))
            return start + file.read(size - start).rfind(b"\n") + 1

    def _size(self) -> int:
        try:
            return self._live().stat().st_size
        except OSError:
            return 0


def _has_steps(row: Row) -> bool:
    return isinstance(row.get("steps"), int | float) and isinstance(row.get("time", 0), int | float)
