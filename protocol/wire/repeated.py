"""Headers that repeat: a sender's next small packet mostly differs from its last one in prefix and array data alone.

What lies between, sender, version and schema, was checked when it came first: the same bytes need no second reading.
"""

from collections.abc import Sequence
from typing import NamedTuple

from surreal.protocol.wire.codec import BODY, KINDS, MAGIC, PREFIX
from surreal.protocol.wire.limits import MAX_COUNT, PROTOCOL
from surreal.protocol.wire.packet import Inline, Packet, Version
from surreal.protocol.wire.schema import Schema, parse

_read, _END, _DATA = PREFIX.unpack_from, PREFIX.size, PREFIX.size + BODY.size


class Usual(NamedTuple):
    """A header that was decoded, without its prefix and its arrays."""

    length: int
    """Bytes of the whole header."""
    start: int
    """Place of the first array."""
    middle: bytes
    """The bytes between prefix and arrays."""
    schema: Schema
    version: Version


def usual_of(frames: Sequence[bytes | memoryview], packet: Packet) -> Usual | None:
    """Return the part of a decoded header that its sender may repeat; None beside meta, and frames with arrays."""
    header = frames[0]
    if packet.meta or len(frames) > 1 or type(header) is not bytes:
        return None
    names = BODY.unpack_from(header, _END)[2]
    schema = parse(header[_DATA : _DATA + names])
    start = len(header) - schema.inline
    return Usual(len(header), start, header[_END:start], schema, packet.version)


def decode_usual(header: bytes | memoryview, usual: Usual, later: bool) -> Packet | None:
    """Return the packet in a header like `usual`; None for any other. `later`: its arrays are in `inline` only."""
    length, start, middle, schema, version = usual
    if len(header) != length or header[_END:start] != middle or type(header) is not bytes:
        return None
    magic, protocol, kind, round, session, seq, base = _read(header)
    if magic != MAGIC or protocol != PROTOCOL or kind not in KINDS or seq > MAX_COUNT or base > MAX_COUNT:
        return None
    inline = tuple.__new__(Inline, (header, start, schema))
    arrays = {} if later else inline.arrays()
    who, rest = (schema.sender, schema.incarnation, version), (schema.size, schema.signature)
    return tuple.__new__(Packet, (kind, round, session, seq, base, *who, {}, arrays, *rest, inline if later else None))
