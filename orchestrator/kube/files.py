"""The run folder of an experiment in a cluster, read from here wherever it is: in a pod, on a volume, in a store."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from surreal.protocol.errors import SurrealError

CHUNK = 4 << 20
"""Bytes asked for at once."""
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
    """Where the files are."""

    def files(self, prefix: str) -> Sequence[File]:
        """The files whose names begin so."""

    def parts(self, wanted: Sequence[tuple[str, int, int]]) -> list[bytes | None]:
        """Bytes from an offset (negative: from the end) of each file, at most so many, perhaps fewer; None: no file."""

    def close(self) -> None:
        """Let go of what was needed to read."""


class RunFolder:
    """A run folder that is somewhere else. A context manager; every method raises SurrealError if it cannot be read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._mirrored: dict[tuple[Path, str], File] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._source.close()

    def list(self, prefix: str = "") -> list[File]:
        """The files whose names begin so, in order of name."""
        return sorted((_checked(file) for file in self._source.files(prefix)), key=lambda file: file.name)

    def read(self, path: str, tail_bytes: int | None = None) -> bytes | None:
        """A whole file, or its last bytes; None if there is no such file."""
        if tail_bytes is not None:
            return self.tails({path: tail_bytes})[path]
        pieces = []
        offset = 0
        while piece := self._source.parts([(path, offset, CHUNK)])[0]:
            pieces.append(piece)
            offset += len(piece)
        return None if piece is None and not pieces else b"".join(pieces)

    def tails(self, wanted: Mapping[str, int]) -> dict[str, bytes | None]:
        """The last bytes of several small files, in one question; None where there is no file."""
        parts = self._source.parts([(name, -size, size) for name, size in wanted.items()])
        return dict(zip(wanted, parts, strict=True))

    def mirror(self, local: Path, only: str = "") -> int:
        """Bring the folder `local` up to date with the files whose names begin with `only`; how many bytes came.

        What grew is fetched from where it ended, what is as it was not at all.
        """
        files = self.list(only)
        whole = sum(file.size for file in files)
        if whole > MOST_MIRRORED:
            raise SurrealError(
                f"{len(files):,} files of the run folder are {whole / 2**30:.1f} GiB, more than is copied here at once"
            )
        return sum(self._mirror(file, local) for file in files)

    def _mirror(self, file: File, local: Path) -> int:
        target = local / file.name
        before = self._mirrored.get((local, file.name))
        if before == file and target.exists():
            return 0
        grew = before and before.inode == file.inode != 0 and file.size >= before.size and target.exists()
        start = target.stat().st_size if grew else 0
        target.parent.mkdir(parents=True, exist_ok=True)
        written = target if grew else target.with_name(f".{target.name}.new")
        with written.open("ab" if grew else "wb") as end:
            for piece in self._pieces(file.name, start, file.size):
                end.write(piece)
            came = end.tell() - start
        os.utime(written, (file.modified, file.modified))
        os.replace(written, target)
        self._mirrored[local, file.name] = file
        return came

    def _pieces(self, name: str, start: int, end: int) -> Iterator[bytes]:
        """The file's bytes from `start` to `end`, fewer if it has become shorter."""
        while start < end and (piece := self._source.parts([(name, start, min(CHUNK, end - start))])[0]):
            yield piece
            start += len(piece)


def _checked(file: File) -> File:
    """The name comes from a machine that runs the experimenter's own code: it must not lead out of a folder here."""
    parts = file.name.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        raise SurrealError(f"the run folder has a file called {file.name!r}, which cannot be copied")
    return file
