"""The run folder of an experiment in a cluster, read from here wherever it is: in a pod, on a volume, in a store."""

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from surreal.protocol.errors import SurrealError

CHUNK = 4 << 20
"""Bytes asked for at once."""
MOST_ASKED = 1000
"""Files asked for at once."""
MOST_MIRRORED = 2 << 30
"""Bytes of all files that one call copies here."""


@dataclass(frozen=True)
class File:
    """A file of the run folder."""

    name: str
    """Relative to the run folder, with slashes."""
    size: int
    modified: float
    """Seconds since 1970."""
    inode: int = 0
    """Tells a file that has grown from another in its place; 0 where files have none and never grow."""


class Source(Protocol):
    """Store that holds the files."""

    def files(self, prefix: str) -> Sequence[File]:
        """Return the files whose names begin so."""

    def parts(self, wanted: Sequence[tuple[str, int, int]]) -> list[bytes | None]:
        """Return at most so many bytes from an offset (negative: from the end) of each file; None: no file."""

    def close(self) -> None:
        """Let go of what was needed to read."""


class RunFolder:
    """A run folder that is somewhere else. A context manager; every method raises SurrealError if it cannot be read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._mirrored: dict[tuple[Path, str], File] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what was needed to read."""
        self._source.close()

    def list(self, prefix: str = "") -> list[File]:
        """Return the files whose names begin so, in order of name."""
        return sorted((_checked(file) for file in self._source.files(prefix)), key=lambda file: file.name)

    def read(self, path: str, tail_bytes: int | None = None) -> bytes | None:
        """Return a whole file, or its last bytes; None if there is no such file."""
        if tail_bytes is not None:
            return self.tails({path: tail_bytes})[path]
        pieces = []
        offset = 0
        while piece := self._source.parts([(path, offset, CHUNK)])[0]:
            pieces.append(piece)
            offset += len(piece)
        return None if piece is None and not pieces else b"".join(pieces)

    def tails(self, wanted: Mapping[str, int]) -> dict[str, bytes | None]:
        """Return the last bytes of several small files, in one question; None where there is no file."""
        parts = self._source.parts([(name, -size, size) for name, size in wanted.items()])
        return dict(zip(wanted, parts, strict=True))

    def mirror(
        self, local: Path, only: str = "", wanted: Callable[[File], bool] = lambda file: True, newest: int = 0
    ) -> dict[str, int]:
        """Bring the folder `local` up to date with the `wanted` files whose names begin with `only`.

        What grew is fetched from where it ended, what is as it was not at all; with `newest` a file that was not here
        yet gets its last bytes only, behind a hole of the size of the others. Returns the names of the files that
        changed, each with the offset from which on it is new.
        """
        files = [file for file in self.list(only) if wanted(file)]
        before = {file.name: self._mirrored.get((local, file.name)) for file in files}
        changed = [file for file in files if before[file.name] != file or not (local / file.name).exists()]
        copies = [_Copy.begin(local / file.name, file, before[file.name], newest) for file in changed]
        whole = sum(copy.end - copy.start for copy in copies)
        if whole > MOST_MIRRORED:
            raise SurrealError(
                f"run folder: {len(files):,} files are {whole / 2**30:.1f} GiB, more than is copied here at once. "
                "Copy a part of them: surreal cp"
            )
        self._fetch(copies)
        self._mirrored |= {(local, copy.file.name): copy.file for copy in copies}
        return {copy.file.name: copy.start for copy in copies}

    def _fetch(self, copies: "Sequence[_Copy]") -> None:
        """Fill the copies, many small ones with one question."""
        open_ones = deque(copies)
        while open_ones:
            asked: list[tuple[_Copy, int]] = []
            room = CHUNK
            while open_ones and room > 0 and len(asked) < MOST_ASKED:
                copy = open_ones.popleft()
                asked.append((copy, min(room, copy.end - copy.at)))
                room -= asked[-1][1]
            parts = self._source.parts([(copy.file.name, copy.at, length) for copy, length in asked])
            for (copy, _), part in zip(asked, parts, strict=True):
                copy.write(part or b"")
                # a file that has become shorter, or gone, is as long as it is
                if part and copy.at < copy.end:
                    open_ones.append(copy)
                else:
                    copy.finish()


@dataclass
class _Copy:
    """A file that is being copied to `target`: what is new of it lies between `start` and `end`."""

    file: File
    target: Path
    written: Path
    start: int
    end: int
    at: int

    @classmethod
    def begin(cls, target: Path, file: File, before: File | None, newest: int) -> "_Copy":
        """Begin a copy of a file that was here as `before`, or not yet."""
        target.parent.mkdir(parents=True, exist_ok=True)
        grew = before and before.inode == file.inode != 0 and file.size >= before.size and target.exists()
        start = target.stat().st_size if grew else max(0, file.size - newest) if newest else 0
        written = target if grew else target.with_name(f".{target.name}.new")
        if not grew:
            written.write_bytes(b"")
        return cls(file, target, written, start, max(start, file.size), start)

    def write(self, data: bytes) -> None:
        """Add the next bytes."""
        with self.written.open("r+b") as file:
            file.seek(self.at)
            file.write(data)
        self.at += len(data)

    def finish(self) -> None:
        """Put it in its place, with the time of the original."""
        os.utime(self.written, (self.file.modified, self.file.modified))
        os.replace(self.written, self.target)


def _checked(file: File) -> File:
    """Refuse a name that leads out of the folder: it comes from a machine that runs the experimenter's own code."""
    parts = file.name.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        raise SurrealError(f"run folder: has a file called {file.name!r}, which cannot be copied. Remove it there.")
    return file
