"""Journal of a recording: episodes appended one after another, each whole and on the disk once `append` returned.

A record is its length, the CRC-32 of its bytes, a header in JSON and the arrays. A record that a crash cut short is
left out when the journal is read, and so is all that follows it.
"""

import json
import os
import struct
from collections.abc import Iterator, Mapping
from logging import getLogger
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from surreal.algorithms.types import Array

log = getLogger(__name__)
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

    def append(self, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
        """Write a record; it is on the disk when this returns."""
        kept = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        header = json.dumps({"meta": dict(meta), "arrays": [_described(name, each) for name, each in kept.items()]})
        payload = b"".join([header.encode(), *(each.tobytes() for each in kept.values())])
        self._file.write(HEAD.pack(len(payload), len(header.encode()), crc32(payload)) + payload)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file, which stays."""
        self._file.close()


def read_journal(path: Path) -> Iterator[tuple[dict[str, Array], dict[str, Any]]]:
    """Yield arrays and meta of every whole record."""
    for arrays, meta, _ in _records(path):
        yield arrays, meta


def _records(path: Path) -> Iterator[tuple[dict[str, Array], dict[str, Any], int]]:
    """Yield arrays, meta and bytes of every whole record; stop at the first that is not."""
    left = path.stat().st_size
    with path.open("rb") as opened:
        while left:
            head = opened.read(HEAD.size)
            size, header, crc = HEAD.unpack(head) if len(head) == HEAD.size else (0, 0, 0)
            # never more is allocated than the file has
            payload = opened.read(size) if 0 < header <= size <= min(left, MOST_BYTES) else b""
            if not payload or len(payload) < size or crc32(payload) != crc:
                log.warning("%s: %d bytes behind the last whole episode are left out", path, left)
                return
            left -= HEAD.size + size
            yield *_unpacked(payload, header), HEAD.size + size


def _described(name: str, array: Array) -> list[Any]:
    return [name, array.dtype.str, list(array.shape)]


def _unpacked(payload: bytes, header: int) -> tuple[dict[str, Array], dict[str, Any]]:
    said, offset, arrays = json.loads(payload[:header]), header, {}
    for name, dtype, shape in said["arrays"]:
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(payload, np.dtype(dtype), count, offset).reshape(shape)
        offset += arrays[name].nbytes
    return arrays, said["meta"]
