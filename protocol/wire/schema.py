"""The schema of a packet: its sender and its arrays, the same from one message of a channel to the next.

Each packet carries all of it, so that no packet depends on another one. Both sides remember the schemas that they have
worked out, so that each costs a look-up.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import msgpack
import numpy as np

from surreal.protocol.wire.limits import (
    CODES,
    DTYPES,
    INLINE_ARRAY_BYTES,
    INLINE_TOTAL_BYTES,
    MAX_ARRAYS,
    MAX_DIMENSIONS,
    MAX_NAME_CHARS,
    MAX_PACKET_BYTES,
    MalformedError,
    check_identity,
    check_sizes,
    frame_sizes,
)

REMEMBERED, SMALL = 4096, 512
"""Schemas of up to 512 bytes that a process remembers: one or two for each peer that it talks to."""
REMEMBERED_LARGE = 64
"""Larger ones, of which a peer could otherwise fill the memory with many."""

Shape = tuple[int, ...]
Signature = tuple[tuple[str, np.dtype[Any], Shape], ...]
"""Name, dtype and shape of each array."""


class Field(NamedTuple):
    """One array."""

    name: str
    dtype: np.dtype[Any]
    shape: Shape
    nbytes: int
    offset: int
    """Its place in the inline part of the header; -1 for a frame of its own."""


class Schema(NamedTuple):
    """A decoded schema."""

    sender: str
    incarnation: int
    fields: tuple[Field, ...]
    frames: int
    """Frames after the header: one for each array that is not inline, several for a large one."""
    inline: int
    """Bytes of the inline part."""
    signature: Signature
    size: int
    """Bytes of all arrays."""


class Layout(NamedTuple):
    """The layout of arrays of one signature, as a sender packs them."""

    schema: bytes
    padded: bytes
    """The same, filled up to a multiple of 8: what precedes the arrays of a message without meta."""
    paddings: tuple[bytes | None, ...]
    """The padding after each array in the inline part; None for a frame of its own. Empty if there is neither."""
    size: int
    """Bytes of all arrays."""


@lru_cache(REMEMBERED)
def layout(sender: str, incarnation: int, signature: Signature) -> Layout:
    """Return the layout of arrays of this signature. Raises MalformedError for arrays that a peer would refuse."""
    check_identity(sender, incarnation)
    table: list[tuple[str, str, Shape, bool]] = []
    paddings: list[bytes | None] = []
    frames: list[int] = []
    inline = total = 0
    for name, dtype, shape in signature:
        code = CODES.get(dtype)
        if code is None or len(shape) > MAX_DIMENSIONS or type(name) is not str or len(name) > MAX_NAME_CHARS:
            raise MalformedError(
                f"array {name!r:.{MAX_NAME_CHARS}} has dtype {dtype} and {len(shape)} dimensions; a message carries "
                f"{', '.join(DTYPES)} with up to {MAX_DIMENSIONS} dimensions"
            )
        size = _size(name, dtype, shape)
        inlined = size <= INLINE_ARRAY_BYTES and inline + size <= INLINE_TOTAL_BYTES
        total += size
        table.append((name, code, shape, inlined))
        paddings.append(bytes(-size % 8) if inlined else None)
        if inlined:
            inline += size + -size % 8
        else:
            frames += frame_sizes(size)
    try:
        schema: bytes = msgpack.packb((sender, incarnation, table))
    except (ValueError, OverflowError) as error:  # a name with half a surrogate pair
        raise MalformedError(f"the name of an array or sender cannot be sent: {error}") from None
    check_sizes(len(schema), frames, len(table))
    # The schema lies behind 24 bytes, a multiple of 8.
    padded = schema + bytes(-len(schema) % 8)
    return Layout(schema, padded, tuple(paddings) if any(paddings) or None in paddings else (), total)


def parse(data: bytes) -> Schema:
    """Return the schema in these bytes, every limit checked. Raises MalformedError."""
    return _parse_small(data) if len(data) <= SMALL else _parse_large(data)


def _parse(data: bytes) -> Schema:
    try:
        body = msgpack.unpackb(data, max_array_len=MAX_ARRAYS, max_map_len=0, max_ext_len=0, ext_hook=no_extensions)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise MalformedError(f"the schema is no msgpack of ours: {error}") from None
    if type(body) is not list or len(body) != 3 or type(body[2]) is not list:
        raise MalformedError("the schema is no list of three")
    sender, incarnation, table = body
    check_identity(sender, incarnation)
    fields: list[Field] = []
    inline = 0
    for entry in table:
        if type(entry) is not list or len(entry) != 4:
            raise MalformedError("an array's entry is no list of four")
        name, code, shape, inlined = entry
        field = _field(name, code, shape, inlined, inline)
        fields.append(field)
        if field.offset >= 0:
            inline += field.nbytes + -field.nbytes % 8
    if len({field.name for field in fields}) < len(fields):
        raise MalformedError("two arrays have one name")
    frames = [size for field in fields if field.offset < 0 for size in frame_sizes(field.nbytes)]
    check_sizes(len(data), frames, len(fields))
    signature = tuple([(field.name, field.dtype, field.shape) for field in fields])
    size = sum(field.nbytes for field in fields)
    return Schema(sender, incarnation, tuple(fields), len(frames), inline, signature, size)


_parse_small = lru_cache(REMEMBERED)(_parse)
_parse_large = lru_cache(REMEMBERED_LARGE)(_parse)


def no_extensions(code: int, data: bytes) -> Any:
    """Refuse extension types of msgpack."""
    raise ValueError(f"msgpack extension {code}")


def _field(name: Any, code: Any, shape: Any, inlined: Any, offset: int) -> Field:
    """Return one checked entry of the table; `offset` is where it begins if it is inlined."""
    if type(name) is not str or len(name) > MAX_NAME_CHARS or type(inlined) is not bool:
        raise MalformedError("an array has no name")
    dtype = DTYPES.get(code) if type(code) is str else None
    if dtype is None or type(shape) is not list or len(shape) > MAX_DIMENSIONS:
        raise MalformedError(f"array {name!r} has dtype {code!r} and shape {shape!r}")
    for extent in shape:
        if type(extent) is not int or extent < 0:
            raise MalformedError(f"array {name!r} has shape {shape!r}")
    return Field(name, dtype, tuple(shape), _size(name, dtype, tuple(shape)), offset if inlined else -1)


def _size(name: str, dtype: np.dtype[Any], shape: Shape) -> int:
    """Return bytes of an array. Raises MalformedError for an extent that numpy would refuse, beside one of 0 too."""
    if math.prod(extent or 1 for extent in shape) * dtype.itemsize > MAX_PACKET_BYTES:
        raise MalformedError(
            f"array {name!r} of shape {shape!r} and dtype {dtype} is larger than {MAX_PACKET_BYTES} bytes"
        )
    return math.prod(shape) * dtype.itemsize
