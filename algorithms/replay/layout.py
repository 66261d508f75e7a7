"""Layout of a batch: its arrays, their types, and where they lie in memory that a shard and a learner share."""

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import numpy as np

from surreal.algorithms.replay.config import ReplaySettings
from surreal.algorithms.replay.fragment import STATES, Field, Schema
from surreal.algorithms.types import Array

ALIGNMENT = 64
"""Bytes: an array begins on a cache line of its own."""
NEXT = "next_"
FIRST, MASK = "first", "mask"
RESERVED = (FIRST, MASK, "rewards", "discounts", "weights", "ids")
REWARD = Field(np.dtype(np.float32), ())
FLAG = Field(np.dtype(np.bool_), ())

Layout = Mapping[str, Field]
"""Name -> type of one item, for each array of a batch."""


def batch_layout(schema: Schema, settings: ReplaySettings) -> dict[str, Field]:
    """Return the arrays of a batch of transitions, or of sequences."""
    if settings.replay.sequence_length:
        return _sequences(schema, settings.length)
    seen = {name: Field(field.dtype, field.whole) for name, field in schema.observations.items()}
    following = {NEXT + name: field for name, field in seen.items()}
    return {**seen, **schema.steps, "rewards": REWARD, "discounts": REWARD, **following}


def _sequences(schema: Schema, length: int) -> dict[str, Field]:
    def times(field: Field, count: int) -> Field:
        return Field(field.dtype, (count, *field.whole))

    return {
        **{name: times(field, length + 1) for name, field in schema.observations.items()},
        **{name: field if is_state(name) else times(field, length) for name, field in schema.steps.items()},
        "rewards": times(REWARD, length),
        "discounts": times(REWARD, length),
        FIRST: times(FLAG, length + 1),
        MASK: times(FLAG, length),
    }


def is_state(name: str) -> bool:
    """Return True for the name of a recurrent state."""
    return name.split(".")[0] == STATES


def batch_bytes(layout: Layout, batch: int) -> int:
    """Return the bytes of a batch, each array on cache lines of its own."""
    return sum(_aligned(field.nbytes * batch) for field in layout.values())


def views(layout: Layout, memory: Any, offset: int, batch: int) -> dict[str, Array]:
    """Return the arrays [batch, ...] of a batch that lies in `memory`, a buffer, from `offset` on."""
    found = {}
    for name, field in layout.items():
        found[name] = np.ndarray((batch, *field.shape), field.dtype, memory, offset)
        offset += _aligned(field.nbytes * batch)
    return found


def _aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def to_plain(layout: Layout) -> list[list[Any]]:
    """Return a layout as the meta of a message takes it."""
    return [[name, field.dtype.str, list(field.shape)] for name, field in layout.items()]


def from_plain(data: list[list[Any]]) -> dict[str, Field]:
    """Return the layout in the meta of a message."""
    return {name: Field(np.dtype(dtype), tuple(shape)) for name, dtype, shape in data}


def layout_number(layout: Layout) -> int:
    """Return a number by which two processes see that their layouts are equal."""
    return crc32(repr(to_plain(layout)).encode())
