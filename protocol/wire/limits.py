"""Limits of a packet, and the errors for packets that exceed them.

Both sides check: the sender before anything travels, the receiver before it allocates.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

PROTOCOL = 2
"""Version of the wire format. Peers of another version are refused; the first four bytes of a packet never change."""

MAX_FRAMES = 16
"""Frames of a packet, the header included."""
MAX_HEADER_BYTES = 64 * 1024
MAX_SCHEMA_BYTES = 16 * 1024
"""Bytes that describe the arrays of a packet."""
MAX_FRAME_BYTES = 64 * 1024 * 1024
MAX_PACKET_BYTES = 128 * 1024 * 1024
MAX_ARRAYS = 256
MAX_DIMENSIONS = 8
MAX_NESTING = 8
MAX_ITEMS = 1024
"""Items of a list or map in meta; bounds what a few bytes can make the decoder allocate."""
MAX_NAME_CHARS = 256
"""Characters in the name of a sender or an array."""
MAX_COUNT = 2**63 - 1
"""The largest sequence number, incarnation, epoch or version."""
INLINE_ARRAY_BYTES = 8 * 1024
"""Arrays of up to this many bytes travel inside the header: below it one frame is faster than two."""
INLINE_TOTAL_BYTES = 32 * 1024

BFLOAT16 = np.dtype([("bfloat16", "<u2")])
"""numpy has none; a broadcast's reader makes float32 of it."""
DTYPES = {
    code: np.dtype(code)
    for code in ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
} | {"bf2": BFLOAT16}
CODES = {dtype: code for code, dtype in DTYPES.items()}

_SCALARS = frozenset({int, float, str, bytes, bool, type(None)})


class MalformedError(ValueError):
    """Bytes that are no packet of ours; the text says why."""


class NotFiniteError(MalformedError):
    """NaN or infinity on a channel that promises finite numbers."""


class ProtocolVersionError(MalformedError):
    """A packet of another version of this protocol."""

    def __init__(self, theirs: int) -> None:
        super().__init__(f"the peer speaks protocol {theirs}, this process speaks {PROTOCOL}")


def check_plain(value: Any, depth: int = 1) -> None:
    """Raise MalformedError unless `value`, a map or list, is plain data of bounded size and nesting."""
    if depth > MAX_NESTING or len(value) > MAX_ITEMS:
        raise MalformedError(f"meta has {len(value)} items at depth {depth}; limits are {MAX_ITEMS} and {MAX_NESTING}")
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise MalformedError("meta has a key that is no string")
        value = value.values()
    for item in value:
        if type(item) in _SCALARS:
            continue
        if isinstance(item, (dict, list, tuple)):
            check_plain(item, depth + 1)
        elif not isinstance(item, (int, float, str, bytes)):
            raise MalformedError(f"meta holds a {type(item).__name__}; it takes None, bool, int, float, str, bytes")


def check_identity(sender: Any, incarnation: Any) -> None:
    """Raise MalformedError unless these are a name and a count."""
    if type(sender) is not str or not 0 < len(sender) <= MAX_NAME_CHARS:
        raise MalformedError("the sender is no name")
    if type(incarnation) is not int or not 0 <= incarnation <= MAX_COUNT:
        raise MalformedError(f"incarnation {incarnation!r} is no int from 0 to 2^63 - 1")


def frame_sizes(nbytes: int) -> list[int]:
    """Return the sizes of the frames that an array of `nbytes` bytes travels in: full ones, then the rest.

    An array of up to MAX_FRAME_BYTES, one without elements too, has one frame.
    """
    full, rest = divmod(nbytes, MAX_FRAME_BYTES)
    return [MAX_FRAME_BYTES] * full + ([rest] if rest or not full else [])


def check_sizes(schema: int, frames: Sequence[int], arrays: int) -> None:
    """Raise MalformedError if the arrays of a packet exceed a limit. `frames`: bytes of each array frame."""
    if arrays > MAX_ARRAYS:
        raise MalformedError(f"{arrays} arrays, the limit is {MAX_ARRAYS}: concatenate some of them")
    if schema > MAX_SCHEMA_BYTES:
        raise MalformedError(f"the arrays' names and shapes take {schema} bytes, the limit is {MAX_SCHEMA_BYTES}")
    if len(frames) + 1 > MAX_FRAMES:
        many = f"more than {MAX_FRAMES - 1} arrays of over {INLINE_ARRAY_BYTES} bytes"
        raise MalformedError(f"{many}, or of less that make up {INLINE_TOTAL_BYTES} together: concatenate some of them")
    if sum(frames) > MAX_PACKET_BYTES - MAX_HEADER_BYTES:
        raise MalformedError(
            f"{sum(frames)} bytes in one message, the limit is {MAX_PACKET_BYTES - MAX_HEADER_BYTES}: send several"
        )


def check_finite(arrays: Mapping[str, np.ndarray]) -> None:
    """Raise NotFiniteError, with its place, where an array holds NaN or infinity."""
    with np.errstate(all="ignore"):
        for name, array in arrays.items():
            # one sum finds almost every array finite; only a sum that overflows needs the second look
            if array.dtype.kind == "f" and not np.isfinite(array.sum()) and not np.isfinite(array).all():
                place = [int(indices[0]) for indices in np.nonzero(~np.isfinite(np.atleast_1d(array)))]
                raise NotFiniteError(f"array {name!r} is not finite, first at {place}")
