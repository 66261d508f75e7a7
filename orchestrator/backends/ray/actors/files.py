"""Files of a run folder, read piece by piece: what the supervisor offers, and the copy that a client keeps."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from surreal.protocol.errors import InvalidInput, NotFound

PIECE = 90_000
"""Bytes that are read at once: Ray carries an answer below 100 kB in the call itself, beside its object store."""
GROWS = (".log", ".jsonl")
"""Endings of files that only grow."""
HIDDEN = ("keys", "code.tar.gz")
"""Files that no client gets."""


class Files:
    """The files below one folder."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def files(self, below: str) -> dict[str, tuple[int, int, int]]:
        """Return the files whose names begin with `below` (`checkpoints/best-`): name -> inode, time, bytes."""
        if below.startswith("/") or ".." in below.split("/"):
            return {}
        start = (self._folder / below).parent if below else self._folder
        found = {}
        for path in sorted(start.rglob("*")) if start.is_dir() else ():
            name = path.relative_to(self._folder).as_posix()
            if name.startswith(below) and name.split("/")[0] not in HIDDEN and path.is_file():
                status = path.stat()
                found[name] = (status.st_ino, status.st_mtime_ns, status.st_size)
        return found

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return a part of a file that `files` lists. Raises NotFound for any other."""
        if name not in self.files(name):
            raise NotFound(f"no file {name!r} in the folder of the run. Fetch one that it has.")
        with (self._folder / name).open("rb") as file:
            file.seek(offset)
            return file.read(min(size, PIECE))

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Take a part of a file, from its beginning on. Raises InvalidInput for a name that leads elsewhere."""
        if name.startswith("/") or ".." in name.split("/") or name.split("/")[0] in HIDDEN:
            raise InvalidInput(f"file {name!r}: leads out of the folder of the run. Send one that lies in it.")
        path = self._folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("ab" if offset else "wb") as file:
            file.write(data)


def send(write: Callable[[str, int, bytes], Any], folder: Path, names: Iterable[str]) -> None:
    """Hand files below `folder` to `write(name, offset, data)`, piece by piece."""
    for name in names:
        offset = 0
        with (folder / name).open("rb") as file:
            while (data := file.read(PIECE)) or not offset:
                write(name, offset, data)
                offset += len(data)
                if not data:
                    break


class Copy:
    """A copy of a run's files on this machine, brought up to date by what is new."""

    def __init__(self, ask: Callable[..., Any], target: Path) -> None:
        """Ask for files by `ask("files", below)` and `ask("read", name, offset, size)`."""
        self._ask, self._target = ask, target
        self._have: dict[str, tuple[int, int, int]] = {}

    def update(self, below: str, tail: int | None = None) -> None:
        """Fetch what is new of the files that begin with `below`; of one that only grows the last `tail` bytes."""
        for name, stamp in self._ask("files", below).items():
            if self._have.get(name) != stamp:
                self._fetch(name, stamp, tail)
                self._have[name] = stamp

    def _fetch(self, name: str, stamp: tuple[int, int, int], tail: int | None) -> None:
        path = self._target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        grown = name.endswith(GROWS) and self._have.get(name, (0,))[0] == stamp[0] and path.exists()
        offset = path.stat().st_size if grown else 0
        with path.open("ab" if grown else "wb") as file:
            if not grown and tail is not None and name.endswith(GROWS) and stamp[2] > tail:
                # a hole keeps offsets equal to those of the original
                offset = stamp[2] - tail
                file.truncate(offset)
                file.seek(offset)
            while offset < stamp[2] and (data := self._ask("read", name, offset, PIECE)):
                file.write(data)
                offset += len(data)
