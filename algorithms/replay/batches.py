"""Batches on the learner's side: memory that is used in turn, and the parts of a batch that are still to come."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from surreal.algorithms.replay.layout import Layout, batch_bytes, views
from surreal.algorithms.replay.shared_memory import HEADER_BYTES, SharedMemory
from surreal.algorithms.types import F32, Array, Int
from surreal.protocol.service.replica import Pending
from surreal.protocol.wire.packet import Message


@dataclass(frozen=True)
class ReplayBatch:
    """Items of all shards. Its arrays may be changed, and are used again by the next `sample`."""

    arrays: dict[str, Array]
    """Name -> array [batch, ...]; docs/replay.md lists the names."""
    weights: F32
    """Importance weights [batch], the largest 1."""
    ids: Int
    """Names [batch] of the items, for `update_priorities`."""
    age: float
    """Mean age of the items, in steps that all shards have inserted since."""


class Slots:
    """Memory of a few batches, shared with shards on this machine where the system can."""

    def __init__(self, layout: Layout, batch: int, count: int) -> None:
        self.layout, self._batch, self._count = layout, batch, count
        self._bytes = batch_bytes(layout, batch)
        self.shared: SharedMemory | None = None
        self.renew()

    def renew(self) -> None:
        """Take other memory, which no shard knows that may still write. Batches in the old one stay as they are."""
        self.close()
        self.shared = SharedMemory.make(self._bytes * self._count)
        memory: Any = (
            self.shared.mapped if self.shared else np.empty(HEADER_BYTES + self._bytes * self._count, np.uint8)
        )
        self._arrays = [views(self.layout, memory, self.offset(slot), self._batch) for slot in range(self._count)]

    def offset(self, slot: int) -> int:
        """Return where a slot begins in the memory."""
        return HEADER_BYTES + slot * self._bytes

    def arrays(self, slot: int) -> dict[str, Array]:
        """Return the arrays [batch, ...] of a slot."""
        return self._arrays[slot]

    def close(self) -> None:
        """Offer the memory no more."""
        if self.shared:
            self.shared.close()


@dataclass(frozen=True)
class Part:
    """Rows of a batch that one shard gives."""

    shard: int
    begin: int
    count: int
    share: float
    """Part of all items, by mass, that the shard has."""


class Open:
    """A batch of which parts are still to come."""

    def __init__(self, slot: int, arrays: dict[str, Array], batch: int) -> None:
        self.slot, self.arrays = slot, arrays
        self.asked: list[tuple[Part, Pending]] = []
        """Parts that are not there, and the questions for them."""
        self._ids = np.empty(batch, dtype=np.int64)
        self._probabilities, self._ages = np.empty(batch), np.empty(batch)

    def take(self, part: Part, answer: Message) -> None:
        """Take in the answer of a shard, whose arrays have come along or been written already."""
        rows = slice(part.begin, part.begin + part.count)
        self._ids[rows] = answer.arrays["ids"]
        self._probabilities[rows] = answer.arrays["probabilities"] * part.share
        self._ages[rows] = answer.meta["age"] / part.share
        for name, array in self.arrays.items():
            if name in answer.arrays:
                array[rows] = answer.arrays[name]

    def finish(self, items: int, beta: float) -> ReplayBatch:
        """Return the batch, with importance weights (items x probability)^-beta over the largest of them.

        Schaul et al. 2016, section 3.4. All are 1 where `beta` is 0.
        """
        weights = np.ones(len(self._ids), dtype=np.float32)
        if beta:
            powers = (max(1, items) * self._probabilities) ** -beta
            weights[:] = powers / powers.max()
        return ReplayBatch(self.arrays, weights, self._ids, float(self._ages.mean()))
