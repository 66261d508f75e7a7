"""The bytes of a packet: pure functions between Python values and frames. docs/wire.md draws the layout.

A packet is one header frame (fixed prefix + msgpack body) and up to 15 frames that are the raw memory of large
arrays. Small arrays travel inside the header. `decode` trusts nothing: it checks every limit before it allocates
and raises `Malformed`, never anything else.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import msgpack
import numpy as np

from surreal.protocol.message import Version

PROTOCOL = 1
"""Version of everything below. Peers of another version are refused; the first four bytes never change."""
MAGIC = b"SR"

MAX_FRAMES = 16
"""Frames of a packet, the header included."""
MAX_HEADER = 64 * 1024
MAX_FRAME = 64 * 1024 * 1024
MAX_TOTAL = 128 * 1024 * 1024
MAX_ARRAYS = 256
MAX_DIMENSIONS = 8
MAX_NESTING = 8
MAX_ITEMS = 1024
"""Items of a list or map in meta; bounds what a few bytes can make the decoder allocate."""
MAX_NAME = 256
"""Characters in the name of a sender or an array."""
INLINE_ARRAY = 8 * 1024
"""Arrays of up to this many bytes travel inside the header: below it one frame is faster than two."""
INLINE_TOTAL = 32 * 1024

DTYPES = {
    code: np.dtype(code)
    for code in ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
}
_CODES = {dtype: code for code, dtype in DTYPES.items()}

_PREFIX = struct.Struct("<2sBBIQQQ")
_LARGEST = 2**63 - 1


class Kind(IntEnum):
    """What a packet is for."""

    DATA = 1
    """Stream: a message."""
    PROBE = 2
    """Stream: 'the next message will be `seq`; what have you got?'"""
    ACK = 3
    """Stream: 'I have everything before `seq`'."""
    LOST = 4
    """Stream: 'a later one came, but I miss `seq`: send again from there'."""
    REFUSED = 5
    """Any channel: 'I will not talk to you', with the reason in meta['reason']."""
    GET = 6
    """Broadcast: 'send me the first value newer than `version`'."""
    VALUE = 7
    """Broadcast: a message."""
    BEAT = 8
    """Control: 'I am alive'."""
    STATE = 9
    """Control: the answer to a beat: go on, or stop and why."""
    LEAVE = 10
    """Control: 'I end now'."""
    REQUEST = 11
    """Service: a question."""
    REPLY = 12
    """Service: its answer."""


_KINDS = frozenset(int(kind) for kind in Kind)


class Packet(NamedTuple):
    """A decoded packet. What session, round, seq and base mean depends on its kind, see docs/wire.md."""

    kind: int
    round: int
    session: int
    seq: int
    base: int
    sender: str
    incarnation: int
    version: Version
    meta: dict[str, Any]
    arrays: dict[str, np.ndarray]


class Encoded(NamedTuple):
    """A packet without its prefix, ready to be transmitted several times."""

    body: bytes
    """The msgpack part of the header."""
    frames: list[np.ndarray]
    """The arrays that travel as frames of their own."""
    size: int
    """Bytes of all arrays."""


class Malformed(ValueError):
    """Bytes that are no packet of ours; the text says why."""


class OtherProtocol(Malformed):
    """A packet of another version of this protocol."""

    def __init__(self, theirs: int) -> None:
        super().__init__(f"the peer speaks protocol {theirs}, this process speaks {PROTOCOL}")


def encode_prefix(kind: Kind, round: int, session: int, seq: int, base: int) -> bytes:
    """The first 32 bytes of a header: what changes each time a packet is transmitted."""
    return _PREFIX.pack(MAGIC, PROTOCOL, kind, round, session, seq, base)


def encode_body(
    sender: str,
    incarnation: int,
    version: Version = (0, 0),
    meta: Mapping[str, Any] | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
) -> Encoded:
    """The rest of the header, and the arrays that travel as frames of their own, uncopied.

    Raises ValueError for what the other side would refuse: too much, too deep, another dtype, no plain data.
    """
    table: list[tuple[str, str, tuple[int, ...], bytes | None]] = []
    frames: list[np.ndarray] = []
    inlined = total = 0
    for name, given in (arrays or {}).items():
        array = np.asarray(given, order="C")
        code = _CODES.get(array.dtype)
        if code is None or array.ndim > MAX_DIMENSIONS or type(name) is not str or len(name) > MAX_NAME:
            raise ValueError(
                f"array {name!r:.{MAX_NAME}} has dtype {array.dtype} and {array.ndim} dimensions; a message carries "
                f"{', '.join(DTYPES)} with up to {MAX_DIMENSIONS} dimensions"
            )
        size = array.nbytes
        total += size
        if size <= INLINE_ARRAY and inlined + size <= INLINE_TOTAL:
            inlined += size
            table.append((name, code, array.shape, array.tobytes()))
        else:
            frames.append(array)
            table.append((name, code, array.shape, None))
    _check_identity(sender, incarnation, *version)
    if meta:
        _check_plain(meta)
    try:
        body: bytes = msgpack.packb((sender, incarnation, version[0], version[1], table, meta or {}))
    except (TypeError, OverflowError, ValueError) as error:
        raise ValueError(f"meta cannot be sent: {error}") from None
    _check_sizes(len(body) + _PREFIX.size, [array.nbytes for array in frames], len(table))
    return Encoded(body, frames, total)


def _check_sizes(header: int, frames: Sequence[int], arrays: int) -> None:
    """Raise Malformed where a packet exceeds a limit."""
    if header > MAX_HEADER:
        raise Malformed(f"the header has {header} bytes, the limit is {MAX_HEADER}: send large data as arrays")
    if len(frames) + 1 > MAX_FRAMES:
        raise Malformed(
            f"more than {MAX_FRAMES - 1} arrays of over {INLINE_ARRAY} bytes: concatenate some of them"
            if frames
            else "too many frames"
        )
    if arrays > MAX_ARRAYS:
        raise Malformed(f"{arrays} arrays, the limit is {MAX_ARRAYS}: concatenate some of them")
    if frames and max(frames) > MAX_FRAME:
        raise Malformed(f"an array has {max(frames)} bytes, the limit is {MAX_FRAME}: split it")
    if header + sum(frames) > MAX_TOTAL:
        raise Malformed(f"{header + sum(frames)} bytes in one message, the limit is {MAX_TOTAL}: send several")


def _check_plain(value: Any, depth: int = 1) -> None:
    """Raise Malformed unless `value`, a map or list, is plain data of bounded size and nesting."""
    if depth > MAX_NESTING or len(value) > MAX_ITEMS:
        raise Malformed(f"meta has {len(value)} items at depth {depth}; limits are {MAX_ITEMS} and {MAX_NESTING}")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise Malformed("meta has a key that is no string")
        value = value.values()
    for item in value:
        if isinstance(item, (dict, list, tuple)):
            _check_plain(item, depth + 1)
        elif item is not None and not isinstance(item, (int, float, str, bytes)):
            raise Malformed(f"meta holds a {type(item).__name__}; it takes None, bool, int, float, str, bytes")


def _check_identity(sender: Any, *numbers: Any) -> None:
    """Raise Malformed unless `sender` is a name and the numbers are what an incarnation or version can be."""
    if type(sender) is not str or not 0 < len(sender) <= MAX_NAME:
        raise Malformed("the sender is no name")
    for number in numbers:
        if type(number) is not int or not 0 <= number <= _LARGEST:
            raise Malformed(f"{number!r} is no incarnation, epoch or version: those are ints from 0 to 2^63 - 1")


def decode(frames: Sequence[bytes | memoryview]) -> Packet:
    """The packet in these frames; its arrays are read-only views on them. Raises Malformed, and nothing else."""
    if not frames or len(frames) > MAX_FRAMES:
        raise Malformed(f"{len(frames)} frames, the limit is {MAX_FRAMES}")
    header, *payload = frames
    if len(header) < 4 or bytes(header[:2]) != MAGIC:
        raise Malformed("bad magic")
    if header[2] != PROTOCOL:
        raise OtherProtocol(header[2])
    if not _PREFIX.size < len(header) <= MAX_HEADER:
        raise Malformed(f"the header has {len(header)} bytes, the limits are {_PREFIX.size + 1} and {MAX_HEADER}")
    _, _, kind, round, session, seq, base = _PREFIX.unpack_from(header)
    if kind not in _KINDS or seq > _LARGEST or base > _LARGEST:
        raise Malformed(f"kind {kind}, seq {seq}, base {base}")
    sender, incarnation, version, table, meta = _decode_body(header)
    return Packet(kind, round, session, seq, base, sender, incarnation, version, meta, _decode_arrays(table, payload))


def _decode_body(header: bytes | memoryview) -> tuple[str, int, Version, list[Any], dict[str, Any]]:
    """The checked msgpack part of a header. The caps keep a few bytes from claiming huge containers."""
    try:
        body = msgpack.unpackb(
            header[_PREFIX.size :],
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
            max_ext_len=0,
            ext_hook=_no_extensions,
        )
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise Malformed(f"the header is no msgpack of ours: {error}") from None
    if type(body) is not list or len(body) != 6:
        raise Malformed("the header is no list of six")
    sender, incarnation, epoch, version, table, meta = body
    _check_identity(sender, incarnation, epoch, version)
    if type(table) is not list or len(table) > MAX_ARRAYS:
        raise Malformed(f"the table of arrays is no list of at most {MAX_ARRAYS}")
    if type(meta) is not dict:
        raise Malformed("meta is no map")
    if meta:
        _check_plain(meta)
    return sender, incarnation, (epoch, version), table, meta


def _no_extensions(code: int, data: bytes) -> Any:
    raise ValueError(f"msgpack extension {code}")


def _decode_arrays(table: list[Any], payload: Sequence[bytes | memoryview]) -> dict[str, np.ndarray]:
    """Views on the inlined bytes and on the payload frames, in the order of the table."""
    arrays: dict[str, np.ndarray] = {}
    left = iter(payload)
    used = total = 0
    for entry in table:
        if type(entry) is not list or len(entry) != 4:
            raise Malformed("an array's entry is no list of four")
        name, code, shape, inline = entry
        if type(name) is not str or len(name) > MAX_NAME or name in arrays:
            raise Malformed("an array has no name or one that is used twice")
        if inline is None:
            data = next(left, None)
            used += 1
        else:
            data = inline if type(inline) is bytes else None
        if data is None or len(data) > MAX_FRAME:
            raise Malformed(f"array {name!r} has no frame or one of over {MAX_FRAME} bytes")
        total += len(data)
        arrays[name] = _view(name, code, shape, data)
    if used != len(payload) or total > MAX_TOTAL:
        raise Malformed(f"{len(payload)} frames for {used} arrays, {total} bytes")
    return arrays


def _view(name: str, code: Any, shape: Any, data: bytes | memoryview) -> np.ndarray:
    """`data` as a read-only array, if dtype and shape fit its length exactly."""
    dtype = DTYPES.get(code) if type(code) is str else None
    if dtype is None or type(shape) is not list or len(shape) > MAX_DIMENSIONS:
        raise Malformed(f"array {name!r} has dtype {code!r} and shape {shape!r}")
    for extent in shape:
        if type(extent) is not int or extent < 0:
            raise Malformed(f"array {name!r} has shape {shape!r}")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise Malformed(f"array {name!r} of shape {shape!r} and dtype {code} has {len(data)} bytes")
    try:
        array: np.ndarray = np.ndarray(shape, dtype, data)
    except ValueError as error:  # an extent of 2^62 beside one of 0
        raise Malformed(f"array {name!r}: {error}") from None
    if type(data) is not bytes:  # which are read-only anyway
        array.setflags(write=False)
    return array
