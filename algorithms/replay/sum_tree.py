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
        """Allocate 16 bytes a leaf, and a thirtieth more for the sums."""
        self._levels: list[F64] = []
        """From the leaves to the root; each [nodes, FAN_OUT], padded with zeros."""
        self._running: list[F64] = []
        """The running sums along each of those rows."""
        width = size
        while not self._levels or len(self._levels[-1]) > 1:
            width = -(-width // FAN_OUT)
            self._levels.append(np.zeros((width, FAN_OUT)))
            self._running.append(np.zeros((width, FAN_OUT)))
        self._leaves = self._levels[0].reshape(-1)[:size]

    @property
    def total(self) -> float:
        """The sum of all priorities."""
        return float(self._running[-1][0, -1])

    def get(self, leaves: Int) -> F64:
        """Return the priorities [n] of `leaves` [n]."""
        return self._leaves.take(leaves)

    def set(self, leaves: Int, priorities: "F64 | float") -> None:
        """Set the priorities of `leaves` [n], finite and not negative; the last one of a leaf that occurs twice."""
        if not len(leaves):
            return
        self._leaves[leaves] = priorities
        nodes = leaves
        for number, (level, running) in enumerate(zip(self._levels, self._running, strict=True)):
            nodes = np.unique(nodes // FAN_OUT)
            running[nodes] = level[nodes].cumsum(axis=1)
            self._hand_up(number, nodes)

    def set_range(self, first: int, count: int, priorities: "F64 | float") -> None:
        """Set the priorities of `count` leaves from `first` on, and from leaf 0 on after the last one."""
        here = min(count, len(self._leaves) - first)
        if here < count:
            rest = priorities[here:] if isinstance(priorities, np.ndarray) else priorities
            self.set_range(0, count - here, rest)
            priorities = priorities[:here] if isinstance(priorities, np.ndarray) else priorities
        if here <= 0:
            return
        self._leaves[first : first + here] = priorities
        begin, end = first, first + here
        for number, (level, running) in enumerate(zip(self._levels, self._running, strict=True)):
            begin, end = begin // FAN_OUT, -(-end // FAN_OUT)
            level[begin:end].cumsum(axis=1, out=running[begin:end])
            self._hand_up(number, slice(begin, end))

    def _hand_up(self, number: int, nodes: "Int | slice") -> None:
        """Write the sums of these nodes of a level into the level above, if there is one."""
        if number + 1 < len(self._levels):
            self._levels[number + 1].reshape(-1)[nodes] = self._running[number][nodes, -1]

    def find(self, sums: F64) -> Int:
        """Return the leaf [n] in which each running sum [n] lies: the first whose own running sum exceeds it.

        `sums` are at least 0 and below `total`. A leaf of priority 0 is never returned, unless all are 0.
        """
        node, left = np.zeros(len(sums), dtype=np.int64), sums
        begins = np.arange(0, len(sums) * FAN_OUT, FAN_OUT)
        for level, running in zip(reversed(self._levels), reversed(self._running), strict=True):
            own = running.take(node, axis=0)
            # by rounding what is left may reach a node's last sum, which would lead beyond its children
            left = np.minimum(left, np.nextafter(own[:, -1], 0.0))
            child = (own > left[:, None]).argmax(axis=1)
            node = node * FAN_OUT + child
            before = own.reshape(-1).take(begins + child) - level.reshape(-1).take(node)
            left = np.maximum(left - before, 0.0)
        return node

    def draw(self, count: int, rng: np.random.Generator) -> Int:
        """Return `count` leaves, each drawn in proportion to its priority, one from each of `count` equal strata.

        Raises ValueError where all priorities are 0.
        """
        total = self.total
        if not total > 0:
            raise ValueError("all priorities are 0: there is nothing to draw")
        return self.find((np.arange(count) + rng.random(count)) * (total / count))
