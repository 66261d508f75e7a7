"""Journal of a recording: episodes appended one after another, each whole, and on the disk within a second.

A record is its length, the CRC-32 of its bytes, a header in JSON and the arrays. A record that a crash cut short is
left out when the journal is read, and so is all that follows it.
"""

import json
import os
import struct
from collections.abc import Iterator, Mapping
from logging import getLogger
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from surreal.algorithms.types import Array

log = getLogger(__name__)
SYNC_SECONDS = 1.0
"""Time between two waits for the disk."""
HEAD = struct.Struct("<QII")
"""Bytes of arrays and header together, bytes of the header, CRC-32 of both."""
MOST_BYTES = 2**34
"""Bytes of a record beyond which its head is taken for damaged."""


class Journal:
    """One file that only grows."""

    def __init__(self, path: Path) -> None:
        """Open the file for appending, behind its last whole record; what a crash left behind that is cut off."""
        self.path = path
        whole = sum(size for _, _, size in _records(path)) if path.exists() else 0
        self._file = path.open("ab")
        self._file.truncate(whole)
        self._file.seek(whole)
        self._synced = monotonic()

    def append(self, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
        """Write a record. No death of this process loses it once this returns; the machine's may lose a second."""
        kept = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        header = json.dumps({"meta": dict(meta), "arrays": [_described(name, each) for name, each in kept.items()]})
        payload = b"".join([header.encode(), *(each.tobytes() for each in kept.values())])
        self._file.write(HEAD.pack(len(payload), len(header.encode()), crc32(payload)) + payload)
        self._file.flush()
        if monotonic() - self._synced > SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        """Wait until all records are on the disk."""
        os.fsync(self._file.fileno())
        self._synced = monotonic()

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file, which stays, with all records on the disk."""
        if not self._file.closed:
            self._sync()
        self._file.close()


def read_journal(path: Path) -> Iterator[tuple[dict[str, Array], dict[str, Any]]]:
    """Yield arrays and meta of every whole record."""
    for arrays, meta, _ in _records(path):
        yield arrays, meta


class Entry(NamedTuple):
    """One record of a journal."""

    offset: int
    """Place of its payload."""
    size: int
    header: int
    crc: int


def entries(path: Path) -> Iterator[Entry]:
    """Yield every record that is as long as its head says, without reading it."""
    left = path.stat().st_size
    with path.open("rb") as opened:
        while left >= HEAD.size:
            found = Entry(opened.tell() + HEAD.size, *HEAD.unpack(opened.read(HEAD.size)))
            left -= HEAD.size + found.size
            if not 0 < found.header <= found.size <= MOST_BYTES or left < 0:
                return
            yield found
            opened.seek(found.size, os.SEEK_CUR)


def said_of(path: Path, entry: Entry) -> dict[str, Any]:
    """Return the header of a record: `meta`, and `arrays` with name, dtype and shape of each. Raises ValueError."""
    with path.open("rb") as opened:
        opened.seek(entry.offset)
        return dict(json.loads(opened.read(entry.header)))


def read_entry(path: Path, entry: Entry) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return arrays and meta of a record. Raises ValueError where its bytes are not those that were written."""
    with path.open("rb") as opened:
        opened.seek(entry.offset)
        payload = opened.read(entry.size)
    if len(payload) < entry.size or crc32(payload) != entry.crc:
        raise ValueError(f"the record at byte {entry.offset} is damaged")
    return _unpacked(payload, entry.header)


def _records(path: Path) -> Iterator[tuple[dict[str, Array], dict[str, Any], int]]:
    """Yield arrays, meta and bytes of every whole record; stop at the first that is not."""
    read = 0
    for entry in entries(path):
        try:
            arrays, meta = read_entry(path, entry)
        except ValueError:
            break
        read += HEAD.size + entry.size
        yield arrays, meta, HEAD.size + entry.size
    rest = path.stat().st_size - read
    if rest:
        log.warning("%s: %d bytes behind the last whole episode are left out", path, rest)


def _described(name: str, array: Array) -> list[Any]:
    return [name, array.dtype.str, list(array.shape)]


def _unpacked(payload: bytes, header: int) -> tuple[dict[str, Array], dict[str, Any]]:
    said, offset, arrays = json.loads(payload[:header]), header, {}
    for name, dtype, shape in said["arrays"]:
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(payload, np.dtype(dtype), count, offset).reshape(shape)
        offset += arrays[name].nbytes
    return arrays, said["meta"]
