"""Codec: pure functions between Python values and the frames of a packet. docs/wire.md draws the layout.

A packet is one header frame (fixed prefix, schema, meta, small arrays) and up to 15 frames with the raw memory of large
arrays. `decode` trusts nothing: it checks every limit before it allocates, and raises `MalformedError` only.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
import numpy as np

from surreal.protocol.wire.limits import (
    BFLOAT16,
    MAX_COUNT,
    MAX_FRAME_BYTES,
    MAX_FRAMES,
    MAX_HEADER_BYTES,
    MAX_ITEMS,
    PROTOCOL,
    MalformedError,
    ProtocolVersionError,
    check_plain,
    frame_sizes,
)
from surreal.protocol.wire.packet import Encoded, Inline, Kind, Packet, Version
from surreal.protocol.wire.schema import Schema, layout, no_extensions, parse

MAGIC = b"SR"
PREFIX = struct.Struct("<2sBBIQQQ")
"""Magic, protocol, kind, round, session, seq, base."""
BODY = struct.Struct("<QQII")
"""Epoch, version, bytes of the schema, bytes of the meta. Schema, meta, padding to 8 and inline arrays follow."""
_HEADER = struct.Struct(PREFIX.format + BODY.format[1:])
"""Both, as a header begins."""
_LARGEST_BODY = MAX_HEADER_BYTES - PREFIX.size
_META_BYTES = 1024
"""Bytes of a usual meta; the packer makes room for more."""
_PADDING = tuple(bytes(n) for n in range(8))


BATCH = int(Kind.BATCH)
KINDS = frozenset(int(kind) for kind in Kind) - {BATCH}


def encode_prefix(kind: int, round: int, session: int, seq: int, base: int) -> bytes:
    """Return the first 32 bytes of a header, which change each time a packet is transmitted."""
    return PREFIX.pack(MAGIC, PROTOCOL, kind, round, session, seq, base)


def encode_body(
    sender: str,
    incarnation: int,
    version: Version = (0, 0),
    meta: Mapping[str, Any] | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
) -> Encoded:
    """Return the rest of the header, and the arrays that travel as frames of their own, uncopied.

    Raises ValueError for data that the other side would refuse: too much, too deep, another dtype, no plain data.
    """
    given: list[np.ndarray] = []
    signature = []
    for name, array in arrays.items() if arrays else ():
        if type(array) is not np.ndarray or not array.flags.c_contiguous:
            array = np.asarray(array, order="C")
        given.append(array)
        signature.append((name, array.dtype, array.shape))
    packed = layout(sender, incarnation, tuple(signature))
    epoch, number = version
    if not (0 <= epoch <= MAX_COUNT and 0 <= number <= MAX_COUNT):
        raise MalformedError(f"{version!r} is no version: two ints from 0 to 2^63 - 1")
    schema, padded, paddings, size = packed
    parts: list[Any]
    if meta:
        plain = _pack_meta(meta)
        parts = [BODY.pack(epoch, number, len(schema), len(plain)), schema, plain]
        parts.append(_PADDING[-(len(schema) + len(plain)) % 8])
    else:
        parts = [BODY.pack(epoch, number, len(schema), 0), padded]
    frames = _place(given, paddings, parts) if paddings else []
    if not paddings:
        parts += given
    # The memory of an array without dimensions or elements is joined as well.
    body = b"".join(parts)
    if len(body) > _LARGEST_BODY:
        size = len(body) + PREFIX.size
        raise MalformedError(
            f"the header has {size} bytes, the limit is {MAX_HEADER_BYTES}. Send large data as arrays."
        )
    return tuple.__new__(Encoded, (body, frames, size))


def _place(arrays: Sequence[np.ndarray], paddings: Sequence[bytes | None], parts: list[Any]) -> list[np.ndarray]:
    """Add the inline arrays with their paddings to `parts`. Return the frames of the others."""
    frames: list[np.ndarray] = []
    for array, padding in zip(arrays, paddings, strict=True):
        if padding is None:
            frames += _split(array)
        else:
            parts += (array, padding)
    return frames


def _pack_meta(meta: Mapping[str, Any]) -> bytes:
    check_plain(meta)
    try:
        # Half the time of packb, which allocates 256 KiB.
        packed: bytes = msgpack.Packer(buf_size=_META_BYTES).pack(meta)
    except (TypeError, OverflowError, ValueError) as error:
        raise MalformedError(f"meta cannot be sent: {error}") from None
    return packed


def decode(frames: Sequence[bytes | memoryview], later: bool = False) -> Packet:
    """Return the packet in these frames; its arrays are read-only views on them. Raises MalformedError only.

    `later`: where all arrays lie in the header they are left in `Packet.inline`.
    """
    header = check_frames(frames)
    magic, protocol, kind, round, session, seq, base, epoch, version, names, plain = _HEADER.unpack_from(header)
    if magic != MAGIC or protocol != PROTOCOL:
        check_version(header)
    if kind not in KINDS or seq > MAX_COUNT or base > MAX_COUNT or epoch > MAX_COUNT or version > MAX_COUNT:
        raise MalformedError(f"kind {kind}, seq {seq}, base {base}, version ({epoch}, {version})")
    end = _HEADER.size + names
    sender, incarnation, fields, count, inline, signature, size = schema = parse(header[_HEADER.size : end])
    start = end + plain
    start += -start % 8
    if start + inline != len(header) or count != len(frames) - 1:
        raise MalformedError(
            f"{len(header)} bytes, {len(frames) - 1} frames: the schema says {start + inline}, {count}"
        )
    meta = unpack_meta(header[end : end + plain]) if plain else {}
    block = tuple.__new__(Inline, (header, start, schema)) if later and not count else None
    arrays: dict[str, np.ndarray] = {}
    if count:
        arrays = _framed(schema, header, start, frames)
    elif block is None:
        # A comprehension costs as much as an array.
        for name, dtype, shape, _, at in fields:
            arrays[name] = np.ndarray(shape, dtype, header, start + at)
    number = epoch, version
    parts = kind, round, session, seq, base, sender, incarnation, number, meta, arrays, size, signature, block, ()
    return tuple.__new__(Packet, parts)


def check_frames(frames: Sequence[bytes | memoryview]) -> bytes:
    """Return the first frame as bytes, in which arrays are aligned, if its size is that of a header."""
    if not 0 < len(frames) <= MAX_FRAMES:
        raise MalformedError(f"{len(frames)} frames, the limit is {MAX_FRAMES}")
    header = frames[0]
    if not _HEADER.size <= len(header) <= MAX_HEADER_BYTES:
        check_version(header)
        limits = f"{_HEADER.size} and {MAX_HEADER_BYTES}"
        raise MalformedError(f"the header has {len(header)} bytes, the limits are {limits}")
    return header if type(header) is bytes else bytes(header)


def check_version(frame: bytes | memoryview) -> None:
    """Raise unless these are the first bytes of a packet of our version."""
    if len(frame) < 4 or frame[:2] != MAGIC:
        raise MalformedError("bad magic")
    if frame[2] != PROTOCOL:
        raise ProtocolVersionError(frame[2])


def _framed(schema: Schema, header: bytes, start: int, frames: Sequence[bytes | memoryview]) -> dict[str, np.ndarray]:
    """Return the arrays of a packet of which some have frames of their own."""
    arrays: dict[str, np.ndarray] = {}
    used = 1
    for name, dtype, shape, nbytes, offset in schema.fields:
        if offset >= 0:
            arrays[name] = np.ndarray(shape, dtype, header, start + offset)
            continue
        count = len(frame_sizes(nbytes)) if nbytes > MAX_FRAME_BYTES else 1
        data = frames[used] if count == 1 else _join(name, nbytes, frames[used : used + count])
        arrays[name] = array = _view(name, dtype, shape, nbytes, data)
        used += count
        if array.flags.writeable:
            array.setflags(write=False)
    return arrays


def unpack_meta(data: bytes | memoryview) -> dict[str, Any]:
    """Return the checked meta. The caps keep a few bytes from claiming huge containers."""
    try:
        meta = msgpack.unpackb(
            data, max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS, max_ext_len=0, ext_hook=no_extensions
        )
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise MalformedError(f"meta is no msgpack of ours: {error}") from None
    if type(meta) is not dict:
        raise MalformedError("meta is no map")
    check_plain(meta)
    return meta


def _split(array: np.ndarray) -> list[np.ndarray]:
    """Return the memory of an array in parts that fit into frames, uncopied."""
    if array.nbytes <= MAX_FRAME_BYTES:
        return [array]
    memory = array.reshape(-1).view(np.uint8)
    return [memory[start : start + MAX_FRAME_BYTES] for start in range(0, array.nbytes, MAX_FRAME_BYTES)]


def _join(name: str, nbytes: int, parts: Sequence[bytes | memoryview]) -> memoryview:
    """Return the memory of an array that came in several frames. Allocates only once their sizes are right."""
    if [len(part) for part in parts] != frame_sizes(nbytes):
        sizes = ", ".join(str(len(part)) for part in parts)
        raise MalformedError(f"array {name!r} of {nbytes} bytes has frames of {sizes} bytes")
    joined, start = np.empty(nbytes, np.uint8), 0
    for part in parts:
        joined[start : start + len(part)] = np.frombuffer(part, np.uint8)
        start += len(part)
    return joined.data


def _view(name: str, dtype: Any, shape: tuple[int, ...], nbytes: int, data: bytes | memoryview) -> np.ndarray:
    """Return a payload frame as a read-only array, if its length is exactly what the schema says."""
    if len(data) != nbytes:
        raise MalformedError(f"array {name!r} of shape {shape} and dtype {dtype} has {len(data)} bytes, not {nbytes}")
    return np.ndarray(shape, dtype, data)


def narrow(array: np.ndarray) -> np.ndarray:
    """Return a float32 array rounded to bfloat16: to nearest, ties to even; NaN stays NaN, what is too large is
    infinite.
    """
    bits = np.ascontiguousarray(array).reshape(-1).view(np.uint32)
    upper = bits >> 16
    rounded = (bits + (upper & 1) + np.uint32(0x7FFF)) >> 16
    is_nan = np.isnan(bits.view(np.float32))
    rounded[is_nan] = upper[is_nan] | 0x40  # quiet: a payload in the lower half alone would leave an infinity
    return rounded.astype(np.uint16).view(BFLOAT16).reshape(array.shape)


def widen(array: np.ndarray) -> np.ndarray:
    """Return the float32 array of the same values, read-only."""
    bits = array.reshape(-1).view(np.uint16).astype(np.uint32)
    bits <<= 16
    wide = bits.view(np.float32).reshape(array.shape)
    wide.setflags(write=False)
    return wide
