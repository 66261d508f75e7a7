"""Samplers: which items of a shard are drawn, uniformly or in proportion to their priorities."""

from typing import NamedTuple, Protocol

import numpy as np

from surreal.algorithms.replay.config import ReplaySettings
from surreal.algorithms.replay.sum_tree import SumTree
from surreal.algorithms.types import F64, Int

EPSILON = 1e-6
"""Least priority: an item without an error is drawn now and then."""
EMPTY = np.empty(0)


class Drawn(NamedTuple):
    """Items drawn from a buffer."""

    items: Int
    """Numbers [n] of the items."""
    probabilities: F64
    """Probability [n] of each in a single draw."""


class Sampler(Protocol):
    """Choice of items. Items are numbers; those from `first` to before `end` are there."""

    highest: float
    """The highest priority so far, which a new item gets."""

    def draw(self, count: int, first: int, end: int) -> Drawn:
        """Draw `count` of the items with replacement. Raises ValueError where there are none."""

    def added(self, first: int, end: int) -> None:
        """Note that these items are new."""

    def dropped(self, first: int, end: int) -> None:
        """Note that these items are gone."""

    def update(self, items: Int, magnitudes: F64) -> None:
        """Set the priorities of items [n] that are there by their errors [n], finite and not negative."""

    def priorities(self, first: int, end: int) -> F64:
        """Return the priorities of these items, for a snapshot; empty where there are none."""

    def restore(self, first: int, priorities: F64) -> None:
        """Set the priorities of the items from `first` on, as a snapshot had them."""

    def mass(self, items: int) -> float:
        """Return the share of this shard in a batch, of `items`, relative to that of other shards."""


class Uniform:
    """Every item as often as any other."""

    highest = 1.0

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def draw(self, count: int, first: int, end: int) -> Drawn:
        """See Sampler."""
        return Drawn(self._rng.integers(first, end, count), np.full(count, 1.0 / (end - first)))

    def added(self, first: int, end: int) -> None:
        """See Sampler."""

    def dropped(self, first: int, end: int) -> None:
        """See Sampler."""

    def update(self, items: Int, magnitudes: F64) -> None:
        """See Sampler."""

    def priorities(self, first: int, end: int) -> F64:
        """See Sampler."""
        return EMPTY

    def restore(self, first: int, priorities: F64) -> None:
        """See Sampler."""

    def mass(self, items: int) -> float:
        """See Sampler."""
        return float(items)


class Prioritized:
    """In proportion to (error + EPSILON)^exponent; a new item has the highest priority so far (Schaul et al. 2016)."""

    def __init__(self, exponent: float, size: int, rng: np.random.Generator) -> None:
        """Allocate priorities of `size` items; item i has the leaf i % size."""
        self._exponent, self._size, self._rng = exponent, size, rng
        self._tree = SumTree(size)
        self.highest = 1.0

    def draw(self, count: int, first: int, end: int) -> Drawn:
        """See Sampler."""
        leaves = self._tree.draw(count, self._rng)
        return Drawn(self._items(leaves, first), self._tree.get(leaves) / self._tree.total)

    def _items(self, leaves: Int, first: int) -> Int:
        return first + (leaves - first) % self._size

    def added(self, first: int, end: int) -> None:
        """See Sampler."""
        self._tree.set_range(first % self._size, end - first, self.highest)

    def dropped(self, first: int, end: int) -> None:
        """See Sampler."""
        self._tree.set_range(first % self._size, end - first, 0.0)

    def update(self, items: Int, magnitudes: F64) -> None:
        """See Sampler."""
        if len(items):
            priorities = (magnitudes + EPSILON) ** self._exponent
            self.highest = max(self.highest, float(priorities.max()))
            self._tree.set(items % self._size, priorities)

    def priorities(self, first: int, end: int) -> F64:
        """See Sampler."""
        return self._tree.get(np.arange(first, end) % self._size)

    def restore(self, first: int, priorities: F64) -> None:
        """See Sampler."""
        if len(priorities):
            self.highest = max(self.highest, float(priorities.max()))
            self._tree.set_range(first % self._size, len(priorities), priorities)

    def mass(self, items: int) -> float:
        """See Sampler."""
        return self._tree.total


def make_sampler(settings: ReplaySettings, size: int, rng: np.random.Generator) -> Sampler:
    """Return the sampler that the settings ask for, for `size` items."""
    if settings.prioritized:
        return Prioritized(settings.replay.priority_exponent, size, rng)
    return Uniform(rng)
