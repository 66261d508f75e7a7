"""TensorBoard events of a run: scalars by environment steps, in files that a restart continues.

Each attempt writes a file of its own, whose first event says from which step it goes on: TensorBoard then leaves out
what earlier attempts wrote beyond that step. The frames of records are made here: to import TensorBoard's writer of
them would take a quarter of a learner's start.
"""

import platform
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary

from surreal.algorithms.recording.disk import AppendLog, Disk
from surreal.algorithms.recording.rows import SEGMENT_BYTES, thin

VERSION = "brain.Event:2"
PREFIX = "events.out.tfevents."
MAX_FLOAT = 3.4e38
"""A scalar is a float32."""


class EventLog:
    """The writing end of the events of one attempt."""

    def __init__(self, folder: Path, attempt: int, disk: Disk) -> None:
        self._folder, self._attempt, self._disk = folder, attempt, disk
        self._file: AppendLog | None = None

    def begin(self, now: float, steps: int) -> None:
        """Start a file: this attempt goes on from `steps`, whose own events stay."""
        # Readers take the files in the order of their names. `x1` is as in the names of rows' segments.
        name = f"{PREFIX}{int(now):010d}.{self._attempt:09d}.x1.{platform.node()}"
        self._file = AppendLog(self._folder / name, self._disk, kind="TensorBoard events")
        self._add(Event(wall_time=now, file_version=VERSION))
        self._add(Event(wall_time=now, step=steps + 1, session_log=SessionLog(status=SessionLog.START)))

    def write(self, now: float, steps: int, kind: str, row: Mapping[str, float]) -> None:
        """Add the scalars `kind/name` at `steps`."""
        if self._file is None:
            self.begin(now, 0)
        elif self._file.size > SEGMENT_BYTES:
            self._begin_segment(now, steps)
        values = [
            Summary.Value(tag=f"{kind}/{name}", simple_value=float(value))
            for name, value in row.items()
            if abs(value) < MAX_FLOAT
        ]
        self._add(Event(wall_time=now, step=steps, summary=Summary(value=values)))

    def _begin_segment(self, now: float, steps: int) -> None:
        self.close()
        self.begin(now, steps)
        closed = sorted(self._folder.glob(f"{PREFIX}*"))[:-1]
        # A restart begins a file too; the short ones that it leaves are not worth joining.
        long = [path for path in closed if path.stat().st_size > SEGMENT_BYTES // 2]
        self._disk.attempt("older TensorBoard events", lambda: thin(long, _records, _kind))

    def _add(self, event: Event) -> None:
        assert self._file is not None
        self._file.append(framed(event.SerializeToString()))

    def close(self) -> None:
        """Write what still can be written, and close the file."""
        if self._file is not None:
            self._file.close()


def framed(event: bytes) -> bytes:
    """Return the record of an event: its length and its bytes, each with a checksum behind it (TFRecord)."""
    length = struct.pack("<Q", len(event))
    return length + _checksum(length) + event + _checksum(event)


def _checksum(data: bytes) -> bytes:
    """Return the masked CRC-32C of `data`."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_CRC = [_crc_of(byte) for byte in range(256)]


def _records(data: bytes) -> Iterator[bytes]:
    """Yield the whole records: length, checksum, event, checksum."""
    start = 0
    while start + 12 <= len(data):
        end = start + 16 + struct.unpack_from("<Q", data, start)[0]
        if end > len(data):
            return
        yield data[start:end]
        start = end


def _kind(record: bytes) -> str | None:
    """Return the kind of process whose scalars the record holds; None for a start of an attempt."""
    event = Event.FromString(record[12:-4])
    values = event.summary.value
    return values[0].tag.partition("/")[0] if values else None
