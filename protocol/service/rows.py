"""Shared parts of the two ends of a service: outcomes, and rows of arrays that travel as messages of their own.

Service: many clients, one server or several replicas of it. docs/wire.md has the rules.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from surreal.protocol.errors import SurrealError
from surreal.protocol.wire.codec import encode_body
from surreal.protocol.wire.packet import Encoded, Inline, Version


class Outcome(IntEnum):
    """The outcome of a request; it travels as the round of a REPLY."""

    ANSWERED = 0
    FAILED = 1
    """The server could not; meta['reason'] says why."""
    BUSY = 2
    """This client has as many unanswered requests here as it may: ask again later, or somewhere else."""


class CallError(SurrealError):
    """The server got the request and could not answer it; the text is the server's."""


def stack(rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the arrays of n requests with one signature as arrays with n rows: a copy, which may be changed."""
    stacked = {}
    for name, first in rows[0].items():
        # np.stack costs three times as much for small arrays
        joined = np.concatenate([row[name] for row in rows] if first.ndim else [row[name].reshape(1) for row in rows])
        stacked[name] = joined.reshape(len(rows), *first.shape)
    return stacked


def stack_inline(rows: Sequence[Inline]) -> dict[str, np.ndarray]:
    """Return what `stack` would of the arrays in these headers of one signature, without making each of them."""
    schema = rows[0].schema
    joined = b"".join([header[start:] for header, start, _ in rows])
    block = np.frombuffer(joined, np.uint8).reshape(len(rows), schema.inline)
    return {
        name: block[:, offset : offset + nbytes].copy().view(dtype).reshape(len(rows), *shape)
        if nbytes
        else np.empty((len(rows), *shape), dtype)
        for name, dtype, shape, nbytes, offset in schema.fields
    }


def encode_rows(
    sender: str,
    incarnation: int,
    version: Version,
    meta: Mapping[str, Any] | None,
    arrays: Mapping[str, np.ndarray],
    rows: int,
) -> list[Encoded]:
    """Encode row i of every array as message i, all with the same meta.

    Raises ValueError for what no message can carry.

    Rows of a size that travels inside the header are encoded at once: the header's other parts are the same for all.
    """
    given = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    for name, array in given.items():
        if array.shape[:1] != (rows,):
            raise ValueError(f"array {name!r} has shape {array.shape}; the first extent must be {rows}, one row each")

    def encode(row: int) -> Encoded:
        return encode_body(sender, incarnation, version, meta, {name: array[row, ...] for name, array in given.items()})

    first = encode(0)
    if first.frames:
        return [first, *map(encode, range(1, rows))]
    block = _inline(list(given.values()), rows)
    width = block.shape[1]
    head, data, size = first.body[: len(first.body) - width], block.tobytes(), first.size
    new, frames = tuple.__new__, first.frames
    return [new(Encoded, (head + data[at : at + width], frames, size)) for at in (row * width for row in range(rows))]


def _inline(arrays: Sequence[np.ndarray], rows: int) -> np.ndarray:
    """Return the inline parts of the messages with one row each (rows, bytes): the arrays' memory, each padded to 8."""
    flat = [array.reshape(rows, -1).view(np.uint8) if array.size else np.empty((rows, 0), np.uint8) for array in arrays]
    widths = [part.shape[1] + -part.shape[1] % 8 for part in flat]
    if len(flat) == 1 and flat[0].shape[1] == widths[0]:
        return flat[0]
    block = np.zeros((rows, sum(widths)), np.uint8)
    start = 0
    for part, width in zip(flat, widths, strict=True):
        block[:, start : start + part.shape[1]] = part
        start += width
    return block
