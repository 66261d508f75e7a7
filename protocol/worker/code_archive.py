"""Unpacking of user code where a process will run.

Command: `python -P -m surreal.protocol.worker.code_archive ARCHIVE FOLDER SHA256`.

The archive is a tar.gz of `surreal.orchestrator.run.code_archive.pack`. Nothing of it is looked at before its sha256 is
the one that was asked for, and nothing is written before all its names and sizes are allowed. FOLDER may be a mount
that cannot be replaced as a whole, so a marker in it says which archive it holds, written last. Unpacking again after
an interruption starts over, and after a success has nothing to do. Standard library only: this runs before every
worker.
"""

import hashlib
import os
import shutil
import sys
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from surreal.protocol.errors import ExitCode, Fatal, SurrealError

AGAIN = "Create the run again."
MAX_FILES = 10_000
MAX_PACKED_BYTES = 64 * 2**20
"""Bytes of the archive."""
MAX_UNPACKED_BYTES = 256 * 2**20
"""Bytes of all files together."""
MARKER = ".surreal-code"
"""The file in FOLDER with the sha256 of the archive that lies there, empty while it is being unpacked."""

_HEADERS = 4 * 512 * MAX_FILES
"""Bytes of the tar file beside the files' own: headers, long names, padding."""


def main(arguments: list[str] | None = None) -> int:
    """Unpack; the exit status is an ExitCode, 3 where another try would not help."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 3:
        print("usage: python -P -m surreal.protocol.worker.code_archive ARCHIVE FOLDER SHA256", file=sys.stderr)
        return ExitCode.INVALID
    archive, folder, digest = arguments
    try:
        files = unpack(read(archive), Path(folder), digest)
    except SurrealError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"cannot unpack {archive} into {folder}: {error}; it will be tried again", file=sys.stderr)
        return ExitCode.FAILED
    print(f"code: {files} {'file' if files == 1 else 'files'} in {folder}", file=sys.stderr)
    return ExitCode.DONE


def read(archive: str) -> bytes:
    """Return the bytes of an archive, at a path or an fsspec URL. Raises Fatal where it is larger than allowed."""
    if "://" in archive:
        from surreal.protocol.worker.object_store import read_url

        data = read_url(archive, MAX_PACKED_BYTES + 1)
    else:
        with open(archive, "rb") as file:
            data = file.read(MAX_PACKED_BYTES + 1)
    if len(data) > MAX_PACKED_BYTES:
        raise Fatal(f"code archive {archive}: is larger than {MAX_PACKED_BYTES:,} bytes; nothing was unpacked. {AGAIN}")
    return data


def unpack(data: bytes, folder: Path, digest: str) -> int:
    """Unpack an archive into `folder`; return the number of its files.

    Raises Fatal if `data` is not the archive with that sha256 or holds entries that no code archive has. Raises Fatal
    if `folder` holds files that surreal did not unpack, OSError if the system has no room.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise Fatal(f"code archive: is not the one that was packed: its sha256 is {found}, not {digest}. {AGAIN}")
    try:
        names = [path for path, _, _ in _members(data)]
        _check_all(names)
        if not _is_there(folder, digest):
            for path, mode, content in _members(data):
                _write(folder / path, mode, content)
            _mark(folder, digest)
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise Fatal(f"code archive: cannot be read: {error}. {AGAIN}") from error
    return len(names)


def _members(data: bytes) -> Iterator[tuple[PurePosixPath, int, IO[bytes]]]:
    """Yield path, mode and content of the members in order; one pass, a few buffers of memory."""
    source = cast(IO[bytes], _Inflated(data))
    with tarfile.open(fileobj=source, mode="r|") as archive:
        for member in archive:
            path = _allowed(member)
            content = archive.extractfile(member)
            assert content, "only regular files are allowed"
            yield path, 0o755 if member.mode & 0o100 else 0o644, content


def _allowed(member: tarfile.TarInfo) -> PurePosixPath:
    """Return the path of a member below the folder. Raises Fatal for anything but a regular file below it."""
    path = PurePosixPath(member.name)
    if not member.isreg() or member.issparse():
        raise Fatal(f"code archive: holds {member.name!r}, which is no regular file; nothing was unpacked. {AGAIN}")
    if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in member.name or path.name == MARKER:
        raise Fatal(f"code archive: holds a file called {member.name!r}; nothing was unpacked. {AGAIN}")
    return path


def _check_all(names: list[PurePosixPath]) -> None:
    if len(names) > MAX_FILES:
        raise Fatal(f"code archive: holds {len(names):,} files, more than {MAX_FILES:,}; nothing was unpacked. {AGAIN}")
    if len(set(names)) < len(names):
        raise Fatal(f"code archive: holds two files of one name; nothing was unpacked. {AGAIN}")


def _is_there(folder: Path, digest: str) -> bool:
    """Return True if `folder` holds that archive; else remove the rest of an earlier try and mark it unfinished."""
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / MARKER
    if marker.is_file() and marker.read_text() == digest:
        return True
    # a new volume of some file systems has this folder
    left = [entry for entry in folder.iterdir() if entry.name != "lost+found"]
    if left and not marker.is_file():
        raise Fatal(
            f"{folder}: holds files that surreal did not unpack, such as {left[0].name!r}; nothing was changed. "
            "Name an empty folder."
        )
    marker.write_text("")
    for entry in left:
        if entry == marker:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    return False


def _write(path: Path, mode: int, content: IO[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # a file that is there already is an error, and so is a link
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        shutil.copyfileobj(content, file)


def _mark(folder: Path, digest: str) -> None:
    """Say that the folder is complete, in one step."""
    written = folder / f"{MARKER}.new"
    written.write_text(digest)
    written.replace(folder / MARKER)


class _Inflated:
    """The content of a gzip stream, for reading in order, up to the allowed number of bytes."""

    def __init__(self, data: bytes) -> None:
        self._left = data
        self._inflate = zlib.decompressobj(wbits=31)
        self._read = 0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, fewer at the end only. Raises Fatal beyond the limit."""
        parts: list[bytes] = []
        wanted = size
        while wanted and not self._inflate.eof:
            part = self._inflate.decompress(self._left, wanted)
            self._left = self._inflate.unconsumed_tail
            if not part and not self._left:
                raise EOFError("it ends early")
            parts.append(part)
            wanted -= len(part)
        self._read += size - wanted
        if self._read > MAX_UNPACKED_BYTES + _HEADERS:
            raise Fatal(
                f"code archive: unpacks to more than {MAX_UNPACKED_BYTES:,} bytes; nothing was unpacked. {AGAIN}"
            )
        return b"".join(parts)


if __name__ == "__main__":
    sys.exit(main())
