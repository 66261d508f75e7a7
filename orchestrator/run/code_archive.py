"""One's own code, packed: `spec.code: ./folder` becomes one small archive that is unpacked where processes run.

The same folder gives the same bytes, so that the archive's sha256 names the code of a run. Sizes are looked at before
contents: a folder with data in it is refused at once.
"""

import gzip
import hashlib
import io
import os
import stat
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, cast

from surreal.orchestrator.run.home import home
from surreal.protocol.documents.locations import KeyPath
from surreal.protocol.errors import InvalidInput
from surreal.protocol.worker.code_archive import MARKER, MAX_FILES, MAX_PACKED_BYTES, MAX_UNPACKED_BYTES

CONFIG_MAP_BYTES = 900_000
"""Bytes of the archive that a ConfigMap (1 MiB at most) has room for."""
STORE_BYTES = MAX_PACKED_BYTES
"""Bytes allowed where the archive goes to the run's own store or folder."""
IGNORE_FILE = ".surrealignore"
"""A file in the folder with a pattern (`*`, `?`) a line, for a name or a path below the folder; `#` is a comment."""

ALWAYS_IGNORED = (
    *(".git", ".hg", ".svn", ".venv", ".venv-*", "node_modules", "*.egg-info"),
    *("__pycache__", "*.pyc", "*.pyo", ".*_cache", ".cache", ".hypothesis", ".tox", ".nox", ".ipynb_checkpoints"),
    # what tools and systems keep for themselves; .env files hold secrets, which a ConfigMap is no place for
    *(".DS_Store", ".idea", ".vscode", ".env", MARKER),
)
LARGEST = 3
"""Number of the largest files that a refusal names."""


@dataclass(frozen=True)
class Code:
    """A packed folder."""

    digest: str
    """sha256 of `data`, in hexadecimal."""
    data: bytes
    """The tar.gz."""
    files: int
    bytes: int
    """Size of the files, unpacked."""
    left_out: int
    """Files and folders that the patterns kept out."""

    def describe(self) -> str:
        """Return one line for the person who packed it."""
        left = f"; {self.left_out} left out" if self.left_out else ""
        return f"{_count(self.files)}, {_size(self.bytes)}, {_size(len(self.data))} packed{left}"


@dataclass(frozen=True)
class _File:
    path: str
    """Below the folder, with slashes."""
    size: int
    mode: int


def pack(folder: Path, limit: int = STORE_BYTES) -> Code:
    """Pack a folder into an archive of at most `limit` bytes.

    Raises InvalidInput, within seconds for any folder, with a sentence that says what does not fit or cannot be read.
    """
    if not folder.is_dir():
        raise InvalidInput(f"spec.code: {folder} is no folder. Name one, relative to the experiment file.")
    walk = _Walk(folder)
    files = sorted(walk.files(), key=lambda file: file.path)
    if not files:
        raise InvalidInput(
            f"spec.code: {folder} holds no files to pack ({walk.left_out} left out). Put your modules there."
        )
    if sum(file.size for file in files) > MAX_UNPACKED_BYTES:
        raise InvalidInput(_too_large(folder, files, f"more than {_size(MAX_UNPACKED_BYTES)}, the most code can be"))
    try:
        data = _archive(folder, files, limit)
    except _Full:
        raise InvalidInput(_too_large(folder, files, f"more than {_size(limit)} packed")) from None
    total = sum(file.size for file in files)
    return Code(hashlib.sha256(data).hexdigest(), data, len(files), total, walk.left_out)


def packed(code: str, beside: Path, limit: int = STORE_BYTES) -> Code | None:
    """Pack the folder that a plan's `code` names, seen from the experiment file's folder `beside`; None without one."""
    return pack(beside / code, limit) if code else None


def warnings(code: str, beside: Path, named: Mapping[KeyPath, str], remote: bool) -> list[str]:
    """Return warnings on a plan's `code` before a run; `remote` means that processes run on other machines.

    `named` are the names `module:object` in the experiment.
    """
    found: list[str] = []
    for path, name in named.items() if remote and not code else ():
        module = name.partition(":")[0]
        found.append(
            f"{'.'.join(map(str, path))}: {name} comes from the module {module}, and no code goes along: "
            f"set spec.code to the folder of {module}, or make sure the image has it"
        )
    if code and (beside / code / "requirements.txt").is_file():
        place = "the image (spec.image)" if remote else "this environment"
        found.append(f"{beside / code / 'requirements.txt'} is not installed: packages of others belong into {place}")
    return found


class _Walk:
    """Finds what is packed."""

    def __init__(self, folder: Path) -> None:
        self.root = folder.resolve()
        self.shown = folder
        self.patterns = (*ALWAYS_IGNORED, *_own_patterns(folder))
        self.runs = home().resolve()
        self.left_out = 0

    def files(self) -> Iterator[_File]:
        """Yield every file below the folder that no pattern keeps out. Raises InvalidInput for files it cannot pack."""
        places: Counter[str] = Counter()
        for count, file in enumerate(self._below(self.root, "", ())):
            places[file.path.partition("/")[0] + ("/" if "/" in file.path else "")] += 1
            if count >= MAX_FILES:
                place, there = places.most_common(1)[0]
                raise InvalidInput(
                    f"spec.code: {self.shown} holds more than {MAX_FILES:,} files, {there:,} of the first in {place}. "
                    f"List what is no code in {self.shown / IGNORE_FILE}."
                )
            yield file

    def _below(self, folder: Path, prefix: str, above: tuple[Path, ...]) -> Iterator[_File]:
        if folder in above:
            raise self._refusal(prefix, "is a link to a folder that it lies in")
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            raise self._refusal(prefix or ".", f"cannot be read ({error.strerror})") from error
        for entry in entries:
            path = prefix + entry.name
            if self._ignored(entry, path):
                self.left_out += 1
                continue
            target = self._target(entry, path)
            status = target.stat()
            if stat.S_ISDIR(status.st_mode):
                yield from self._below(target, f"{path}/", (*above, folder))
            elif stat.S_ISREG(status.st_mode):
                yield _File(path, status.st_size, 0o755 if status.st_mode & stat.S_IXUSR else 0o644)
            else:
                raise self._refusal(path, "is neither a file nor a folder")

    def _ignored(self, entry: "os.DirEntry[str]", path: str) -> bool:
        # experiments of this machine may lie below the code, with their keys
        own = Path(entry.path) == self.runs
        return own or any(fnmatchcase(entry.name, each) or fnmatchcase(path, each) for each in self.patterns)

    def _target(self, entry: "os.DirEntry[str]", path: str) -> Path:
        """Return an entry's path, through links that stay in the folder."""
        if not entry.is_symlink():
            return Path(entry.path)
        try:
            target = Path(entry.path).resolve(strict=True)
        except (OSError, RuntimeError):
            raise self._refusal(path, f"is a link that leads nowhere ({os.readlink(entry.path)})") from None
        if not target.is_relative_to(self.root):
            raise self._refusal(path, f"is a link that leads outside of the folder, to {target}")
        return target

    def _refusal(self, path: str, why: str) -> InvalidInput:
        return InvalidInput(
            f"spec.code: {path.rstrip('/')!r} in {self.shown} {why}. "
            f"Replace it by the file that the experiment needs, or list it in {self.shown / IGNORE_FILE}."
        )


def _own_patterns(folder: Path) -> list[str]:
    """Return the patterns of the folder's own ignore file."""
    try:
        text = (folder / IGNORE_FILE).read_text()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"spec.code: {folder / IGNORE_FILE} cannot be read: {error}. Save it as UTF-8 text."
        ) from error
    lines = (line.strip().removeprefix("./").rstrip("/") for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _archive(folder: Path, files: list[_File], limit: int) -> bytes:
    """Make the tar.gz with names, contents and executable bits only. Raises _Full over the limit."""
    sink = _Sink(limit)
    with (
        # level 9 takes three times as long for a hundredth less
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=cast(IO[bytes], sink), mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for file in files:
            member = tarfile.TarInfo(file.path)
            member.size, member.mode = file.size, file.mode
            try:
                with (folder / file.path).open("rb") as content:
                    archive.addfile(member, content)
            except _Full:
                raise
            except OSError as error:
                why = error.strerror or "it changed meanwhile"
                raise InvalidInput(
                    f"spec.code: {folder / file.path} cannot be packed: {why}. Leave it out by {IGNORE_FILE}."
                ) from error
    return sink.buffer.getvalue()


class _Full(OSError):
    """The archive is larger than allowed."""


class _Sink:
    """Takes the archive up to a limit."""

    def __init__(self, limit: int) -> None:
        self.buffer = io.BytesIO()
        self._limit = limit
        self._full = False

    def write(self, data: bytes) -> int:
        """Write a part. Raises _Full once there is too much, but not again while the writer is being closed."""
        if self._full:
            return len(data)
        if self.buffer.tell() + len(data) > self._limit:
            self._full = True
            raise _Full
        return self.buffer.write(data)

    def flush(self) -> None:
        """Return at once: no data is held back."""


def _too_large(folder: Path, files: list[_File], why: str) -> str:
    largest = sorted(files, key=lambda file: file.size, reverse=True)[:LARGEST]
    named = ", ".join(f"{file.path} ({_size(file.size)})" for file in largest)
    total = _size(sum(file.size for file in files))
    return (
        f"spec.code: {folder} holds {total} in {_count(len(files))}, {why}; the largest are {named}. "
        f"List what is no code in {folder / IGNORE_FILE}, and bring data in the image or on a volume."
    )


def _count(files: int) -> str:
    return "1 file" if files == 1 else f"{files:,} files"


def _size(count: int) -> str:
    """Write bytes for people: 12 B, 34 kB, 5.6 MB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count} B"
