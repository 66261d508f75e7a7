"""File server of a run folder, for watchers outside the pod that has it.

`python -P -m surreal.protocol.worker.file_server FOLDER` takes requests as JSON lines on stdin and answers each on
stdout by one JSON line and the bytes it announces:

    {"list": "logs/"}                                -> {"bytes": 0, "files": [[name, size, modified, inode], ...]}
    {"read": [["channels.json", 0, 65536], ...]}     -> {"bytes": n, "sizes": [size or null, ...], "parts": [n1, ...]}

Each answer says the `time` on this machine's clock. A negative offset counts from the end of the file. The process ends
with its stdin, and after a minute without a request. The standard library only, and no thread: it runs beside the
learner, in the learner's memory.
"""

import json
import os
import select
import stat
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

IDLE_TIMEOUT_S = 60.0
"""A connection that was cut may leave its stdin open."""
MAX_REQUEST_BYTES = 1 << 20
MAX_ANSWER_BYTES = 4 << 20
"""Bytes of files in one answer; the rest is asked for again."""
MAX_FILES = 20_000


def main() -> None:
    """Answer requests about the folder, which is the only argument."""
    folder = Path(sys.argv[1])
    buffered = b""
    while select.select([0], [], [], IDLE_TIMEOUT_S)[0]:
        piece = os.read(0, 65536)
        if not piece or len(buffered) > MAX_REQUEST_BYTES:
            return
        *requests, buffered = (buffered + piece).split(b"\n")
        for request in requests:
            answer(folder, json.loads(request), sys.stdout.buffer)


def answer(folder: Path, request: dict[str, Any], out: BinaryIO) -> None:
    """Write the answer to one request."""
    head: dict[str, Any]
    parts: list[bytes] = []
    if "list" in request:
        head = {"files": list_files(folder, str(request["list"]))}
    else:
        sizes, parts = read(folder, request["read"])
        head = {"sizes": sizes, "parts": [len(part) for part in parts]}
    out.write(
        json.dumps({"bytes": sum(map(len, parts)), "time": time.time(), **head}).encode() + b"\n" + b"".join(parts)
    )
    out.flush()


def list_files(folder: Path, prefix: str) -> list[tuple[str, int, float, int]]:
    """Return name, bytes, time of the last change and inode of the files whose names begin with `prefix`."""
    found: list[tuple[str, int, float, int]] = []
    start = inside(folder, prefix.rpartition("/")[0])
    for where, folders, names in os.walk(start):
        folders.sort()
        for name in sorted(names):
            path = Path(where, name)
            known = _regular(path)
            relative = str(path.relative_to(folder))
            if known and relative.startswith(prefix) and len(found) < MAX_FILES:
                found.append((relative, known.st_size, known.st_mtime, known.st_ino))
    return found


def read(folder: Path, wanted: list[tuple[str, int, int]]) -> tuple[list[int | None], list[bytes]]:
    """Return the sizes of these files (None: there is none) and the bytes asked for, as far as one answer goes."""
    sizes: list[int | None] = []
    parts: list[bytes] = []
    room = MAX_ANSWER_BYTES
    for name, offset, length in wanted:
        size, part = _read_part(inside(folder, name), offset, min(length, room))
        sizes.append(size)
        parts.append(part)
        room -= len(part)
    return sizes, parts


def inside(folder: Path, name: str) -> Path:
    """Return a path below the folder. Raises ValueError for one that leads out of it."""
    if name.startswith("/") or ".." in Path(name).parts or "\0" in name:
        raise ValueError(f"{name!r} is no name of a file in the run's folder")
    return folder / name


def _read_part(path: Path, offset: int, length: int) -> tuple[int | None, bytes]:
    try:
        if not _regular(path):
            return None, b""
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(offset if offset >= 0 else max(0, size + offset))
            return size, file.read(length)
    except OSError:
        return None, b""  # pruned in this moment


def _regular(path: Path) -> os.stat_result | None:
    """Return the status of a regular file; None for any other path: a pipe would keep us waiting."""
    try:
        known = path.lstat()
    except OSError:
        return None
    return known if stat.S_ISREG(known.st_mode) else None


if __name__ == "__main__":
    main()
