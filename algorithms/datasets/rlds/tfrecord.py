"""TFRecord files: records behind a length and two checksums.

uint64 length, uint32 masked crc of the length, `length` bytes, uint32 masked crc of the bytes; little-endian
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from surreal.algorithms.datasets.rlds.crc32c import masked

HEAD, TAIL = struct.Struct("<QI"), struct.Struct("<I")
MOST_BYTES = 2**32
"""Bytes of a record beyond which its length is taken for damaged."""


class Record(NamedTuple):
    """Place of one record in a file."""

    offset: int
    """Place of its first byte, behind length and checksum."""
    length: int


def records(file: BinaryIO, size: int) -> Iterator[Record]:
    """Yield every record of a file of `size` bytes; only heads are read.

    Raises ValueError, which says the byte, where the file ends within a record or the checksum of a length is wrong.
    """
    offset = 0
    while offset < size:
        file.seek(offset)
        head = file.read(HEAD.size)
        if len(head) < HEAD.size:
            raise ValueError(f"it ends within the head of the record at byte {offset}")
        length, crc = HEAD.unpack(head)
        if masked(head[:8]) != crc:
            raise ValueError(f"the length of the record at byte {offset} has another checksum")
        if length > MOST_BYTES:
            raise ValueError(f"the record at byte {offset} says {length} bytes, more than {MOST_BYTES}")
        end = offset + HEAD.size + length + TAIL.size
        if end > size:
            raise ValueError(f"it is truncated: the record at byte {offset} ends at byte {end} of {size}")
        yield Record(offset + HEAD.size, length)
        offset = end


def payload(file: BinaryIO, record: Record) -> bytes:
    """Return the bytes of a record. Raises ValueError where their checksum is wrong, or the file has become shorter."""
    file.seek(record.offset)
    data = file.read(record.length + TAIL.size)
    if len(data) < record.length + TAIL.size:
        raise ValueError(f"it is truncated within the record at byte {record.offset}")
    if masked(data[: record.length]) != TAIL.unpack(data[record.length :])[0]:
        raise ValueError(f"the record at byte {record.offset} has another checksum: it is damaged")
    return data[: record.length]
