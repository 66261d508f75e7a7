"""Batches: several small messages of one sender in one frame. docs/wire.md draws the layout."""

import struct
from collections.abc import Sequence

import numpy as np

from surreal.protocol.wire.codec import BATCH, BODY, PREFIX, decode_body, decode_prefix, encode_prefix, unpack_meta
from surreal.protocol.wire.limits import MAX_COUNT, MalformedError
from surreal.protocol.wire.packet import Kind, Packet
from surreal.protocol.wire.schema import Schema, parse

LENGTH = struct.Struct("<Q")
"""Bytes of a message in a batch. It and every message are a multiple of 8, which keeps arrays aligned."""
_DATA = int(Kind.DATA)


def encode_batch(round: int, session: int, seq: int, base: int, bodies: Sequence[bytes]) -> bytes:
    """Return one frame with several messages that have no frames of their own, numbered from `seq` on."""
    parts = [encode_prefix(Kind.BATCH, round, session, seq, base)]
    for body in bodies:
        parts += (LENGTH.pack(len(body)), body)
    return b"".join(parts)


def is_batch(header: bytes | memoryview) -> bool:
    """Return True if `decode_batch` reads this frame, rather than `decode`."""
    return len(header) > 3 and header[3] == BATCH


def decode_batch(frames: Sequence[bytes | memoryview]) -> list[Packet]:
    """Return the packets of kind DATA that `encode_batch` put into one frame. Raises MalformedError only."""
    if len(frames) != 1:
        raise MalformedError(f"a batch of {len(frames)} frames")
    header, _, round, session, seq, base = decode_prefix(frames[0])
    if alike := _decode_alike(header, round, session, seq, base):
        return alike
    packets: list[Packet] = []
    start = PREFIX.size
    while start < len(header):
        if start + LENGTH.size + BODY.size > len(header):
            raise MalformedError(f"a batch ends in the middle of a message, at byte {len(header)}")
        (length,) = LENGTH.unpack_from(header, start)
        start += LENGTH.size
        if length > len(header) - start:
            raise MalformedError(f"a message of {length} bytes in a batch that has {len(header) - start} more")
        body = decode_body(header, start, start + length, (header,))
        packets.append(Packet(Kind.DATA, round, session, seq + len(packets), base, *body))
        start += length
    if len({packet[5:7] for packet in packets}) > 1:
        raise MalformedError("a batch of several senders")
    return packets


def _decode_alike(header: bytes | memoryview, round: int, session: int, seq: int, base: int) -> list[Packet] | None:
    """Return the packets of a batch whose messages have one schema and one length; None for another, or a wrong one.

    Arrays of one name are then made by one view over the whole batch.
    """
    at = PREFIX.size + LENGTH.size
    if at + BODY.size > len(header):
        return None
    (length,), (_, _, names, plain) = LENGTH.unpack_from(header, PREFIX.size), BODY.unpack_from(header, at)
    step = LENGTH.size + length
    count, rest = divmod(len(header) - PREFIX.size, step)
    if rest or count < 2 or not BODY.size + names + plain <= length:
        return None
    table = np.frombuffer(header, np.uint8, offset=PREFIX.size).reshape(count, step)
    # Alike are the lengths of message, schema and meta, and the schema; versions, meta and arrays are not.
    begin, end = LENGTH.size + 16, LENGTH.size + BODY.size + names
    if not ((table[1:, begin:end] == table[0, begin:end]).all() and (table[1:, :8] == table[0, :8]).all()):
        return None
    schema = parse(bytes(header[at + BODY.size : at + BODY.size + names]))
    start = BODY.size + names + plain
    start += -start % 8
    versions = np.ndarray((count, 2), "<u8", header, at, (step, 8)).tolist()
    if start + schema.inline != length or schema.frames or max(map(max, versions)) > MAX_COUNT:
        return None
    columns = _columns(schema, header, at + start, count, step)
    if columns is None:
        return None
    said, known = [PREFIX.size + n * step + end for n in range(count)], [field.name for field in schema.fields]
    metas = [unpack_meta(header[place : place + plain]) if plain else {} for place in said]
    arrays = [dict(zip(known, row, strict=True)) for row in zip(*columns, strict=True)] if known else [{} for _ in said]
    who, rest_of = (schema.sender, schema.incarnation), (schema.size, schema.signature)
    return [
        tuple.__new__(Packet, (_DATA, round, session, seq + n, base, *who, tuple(version), meta, named, *rest_of, None))
        for n, (version, meta, named) in enumerate(zip(versions, metas, arrays, strict=True))
    ]


def _columns(
    schema: Schema, header: bytes | memoryview, start: int, count: int, step: int
) -> list[list[np.ndarray]] | None:
    """Return the arrays of each field in `count` messages `step` bytes apart; None where one has no elements."""
    columns = []
    for field in schema.fields:
        if not field.nbytes:
            return None
        steps, inner = [], field.nbytes
        for extent in field.shape:
            inner //= extent
            steps.append(inner)
        block = np.ndarray((count, *field.shape), field.dtype, header, start + field.offset, (step, *steps))
        if block.flags.writeable:
            block.setflags(write=False)
        columns.append(list(block) if field.shape else [block[n, ...] for n in range(count)])
    return columns
