"""Batches: several small messages of one sender in one frame. docs/wire.md draws the layout."""

import struct
from collections.abc import Sequence

import numpy as np

from surreal.protocol.wire.codec import (
    BATCH,
    BODY,
    MAGIC,
    PREFIX,
    check_frames,
    check_version,
    encode_prefix,
    unpack_meta,
)
from surreal.protocol.wire.limits import MAX_COUNT, PROTOCOL, MalformedError
from surreal.protocol.wire.packet import Kind, Message, Packet
from surreal.protocol.wire.schema import Field, Schema, parse

LENGTH = struct.Struct("<Q")
"""Bytes of a message in a batch. It and every message are a multiple of 8, which keeps arrays aligned."""
_BEGINNING = struct.Struct(LENGTH.format + BODY.format[1:])
"""Length, epoch, version, bytes of the schema, bytes of the meta."""


def encode_batch(round: int, session: int, seq: int, base: int, bodies: Sequence[bytes]) -> bytes:
    """Return one frame with several messages that have no frames of their own, numbered from `seq` on."""
    parts = [encode_prefix(Kind.BATCH, round, session, seq, base)]
    for body in bodies:
        parts += (LENGTH.pack(len(body)), body)
    return b"".join(parts)


def is_batch(header: bytes | memoryview) -> bool:
    """Return True if `decode_batch` reads this frame, rather than `decode`."""
    return len(header) > 3 and header[3] == BATCH


def decode_batch(frames: Sequence[bytes | memoryview]) -> Packet:
    """Return a packet of kind BATCH with the messages that `encode_batch` put into one frame, in their order.

    Raises MalformedError only.
    """
    header = check_frames(frames)
    magic, protocol, kind, round, session, seq, base = PREFIX.unpack_from(header)
    if magic != MAGIC or protocol != PROTOCOL:
        check_version(header)
    if len(frames) != 1 or kind != BATCH or seq > MAX_COUNT - len(header) or base > MAX_COUNT:
        raise MalformedError(f"a batch of {len(frames)} frames, kind {kind}, seq {seq}, base {base}")
    size, messages = _decode_alike(header, seq) or _decode_each(header, seq)
    who = messages[0][:2]
    return Packet(BATCH, round, session, seq, base, *who, (0, 0), {}, {}, size, batch=messages)


def _decode_each(header: bytes, seq: int) -> tuple[int, list[Message]]:
    """Return the messages of a batch and the bytes of all their arrays."""
    messages: list[Message] = []
    start, schema, names, total = PREFIX.size, None, b"", 0
    while start < len(header):
        if start + _BEGINNING.size > len(header):
            raise MalformedError(f"a batch ends in the middle of a message, at byte {len(header)}")
        length, epoch, version, named, plain = _BEGINNING.unpack_from(header, start)
        place = start + _BEGINNING.size
        # Messages of one batch mostly have one schema.
        if schema is None or named != len(names) or not header.startswith(names, place):
            schema, names = _schema(header[place : place + named], schema)
        sender, incarnation, fields, _, inline, _, size = schema
        place += named + plain
        begin = place + -place % 8
        start += LENGTH.size + length
        if begin + inline != start or start > len(header) or epoch > MAX_COUNT or version > MAX_COUNT:
            raise MalformedError(f"a message of version ({epoch}, {version}) in a batch ends at byte {start}")
        meta = unpack_meta(header[place - plain : place]) if plain else {}
        arrays = {}
        for name, dtype, shape, _, at in fields:
            arrays[name] = np.ndarray(shape, dtype, header, begin + at)
        said = (sender, incarnation, seq + len(messages), (epoch, version), meta, arrays)
        messages.append(tuple.__new__(Message, said))
        total += size
    if not messages:
        raise MalformedError("a batch without messages")
    return total, messages


def _schema(data: bytes, before: Schema | None) -> tuple[Schema, bytes]:
    """Return the schema of a message and its bytes, if it is of the sender of the message before."""
    schema = parse(data)
    if schema.frames:
        raise MalformedError("a message in a batch has frames of its own")
    if before and (schema.sender, schema.incarnation) != (before.sender, before.incarnation):
        raise MalformedError("a batch of several senders")
    return schema, data


def _decode_alike(header: bytes, seq: int) -> tuple[int, list[Message]] | None:
    """Return what `_decode_each` does, if the messages differ in nothing but their arrays' data, and have no meta.

    What precedes the arrays is then compared with that of the first message, and each field's arrays are made at once.
    """
    start = PREFIX.size + _BEGINNING.size
    if start > len(header):
        return None
    length, epoch, version, named, plain = _BEGINNING.unpack_from(header, PREFIX.size)
    step = LENGTH.size + length
    count, rest = divmod(len(header) - PREFIX.size, step)
    before = _BEGINNING.size + named + -named % 8
    if plain or rest or count < 2 or before > step or epoch > MAX_COUNT or version > MAX_COUNT:
        return None
    block = np.frombuffer(header, np.uint8, offset=PREFIX.size).reshape(count, step)
    if not (block[1:, :before] == block[0, :before]).all():
        return None
    schema, _ = _schema(header[start : start + named], None)
    if before + schema.inline != step or not all(field.nbytes for field in schema.fields):
        return None
    columns = [_column(field, header, PREFIX.size + before, count, step) for field in schema.fields]
    names = [field.name for field in schema.fields]
    made = zip(*columns, strict=True) if columns else [()] * count
    rows = [dict(zip(names, row, strict=True)) for row in made]
    sender, incarnation, numbers = schema.sender, schema.incarnation, (epoch, version)
    return schema.size * count, [
        tuple.__new__(Message, (sender, incarnation, number, numbers, {}, arrays))
        for number, arrays in enumerate(rows, seq)
    ]


def _column(field: Field, header: bytes, start: int, count: int, step: int) -> list[np.ndarray]:
    """Return the arrays of a field in `count` messages `step` bytes apart."""
    steps, inner = [], field.nbytes
    for extent in field.shape:
        inner //= extent
        steps.append(inner)
    block = np.ndarray((count, *field.shape), field.dtype, header, start + field.offset, (step, *steps))
    return list(block) if field.shape else [block[n, ...] for n in range(count)]
