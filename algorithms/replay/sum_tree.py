"""Sum tree: sampling in proportion to priorities, for whole batches at once (Schaul et al. 2016, appendix B.2.1).

A node has FAN_OUT children: few levels, each of which one numpy call handles for the whole batch. Every sum is added up
anew from its children. Adding differences would let rounding pile up, until leaves of priority 0 are drawn.
"""

import numpy as np

from surreal.algorithms.types import F64, Int

FAN_OUT = 32
"""Children of a node. Of 8, 16, 32, 64 and 128 it draws and updates 256 of 1e6 leaves fastest, see docs/replay.md."""


class SumTree:
    """Priorities of `size` leaves, all 0 at first, and the sums above them, in float64."""

    def __init__(self, size: int) -> None:
        """Allocate 8 bytes a leaf, and a thirtieth more for the sums."""
        self._levels: list[F64] = []
        """From the leaves to the root; each [nodes / FAN_OUT, FAN_OUT], padded with zeros."""
        width = size
        while True:
            groups = -(-width // FAN_OUT)
            self._levels.append(np.zeros((groups, FAN_OUT)))
            if groups == 1:
                break
            width = groups
        self._leaves = self._levels[0].reshape(-1)[:size]

    @property
    def total(self) -> float:
        """The sum of all priorities."""
        return float(self._levels[-1].sum())

    def get(self, leaves: Int) -> F64:
        """Return the priorities [n] of `leaves` [n]."""
        return self._leaves[leaves]

    def set(self, leaves: Int, priorities: "F64 | float") -> None:
        """Set the priorities of `leaves` [n], finite and not negative; the last one of a leaf that occurs twice."""
        if not len(leaves):
            return
        self._leaves[leaves] = priorities
        nodes = leaves
        for below, above in zip(self._levels, self._levels[1:], strict=False):
            nodes = _distinct(nodes // FAN_OUT)
            above.reshape(-1)[nodes] = below[nodes].sum(axis=1)

    def find(self, sums: F64) -> Int:
        """Return the leaf [n] in which each running sum [n] lies: the first whose own running sum exceeds it.

        `sums` are at least 0 and below `total`. A leaf of priority 0 is never returned, unless all are 0.
        """
        node, left = np.zeros(len(sums), dtype=np.int64), sums.copy()
        for level in reversed(self._levels):
            running = level[node].cumsum(axis=1)
            # by rounding what is left may reach a node's last sum, which would lead beyond its children
            left = np.minimum(left, np.nextafter(running[:, -1], 0.0))
            child = (running <= left[:, None]).sum(axis=1)
            child = np.minimum(child, FAN_OUT - 1)
            before = np.where(
                child > 0, np.take_along_axis(running, np.maximum(child - 1, 0)[:, None], axis=1)[:, 0], 0.0
            )
            left = np.maximum(left - before, 0.0)
            node = node * FAN_OUT + child
        return node

    def draw(self, count: int, rng: np.random.Generator) -> Int:
        """Return `count` leaves, each drawn in proportion to its priority, one from each of `count` equal strata.

        Raises ValueError where all priorities are 0.
        """
        total = self.total
        if not total > 0:
            raise ValueError("all priorities are 0: there is nothing to draw")
        return self.find((np.arange(count) + rng.random(count)) * (total / count))


def _distinct(nodes: Int) -> Int:
    """Return each number of `nodes` once, as a consecutive run for neighbours and sorted for all others."""
    first, last = int(nodes[0]), int(nodes[-1])
    if last - first < len(nodes) and (np.diff(nodes) >= 0).all():
        return np.arange(first, last + 1)
    return np.unique(nodes)
