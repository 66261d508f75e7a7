"""Ring: preallocated arrays with one row for each observation, written a block at a time over the oldest blocks.

A block is never cut in two at the end of the arrays, so everything in it is found by adding to its first row.
"""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from surreal.algorithms.replay.fragment import Field, MisfitError
from surreal.algorithms.types import Array, Int


class Block(NamedTuple):
    """Rows of one fragment, and the items that begin in them."""

    row: int
    rows: int
    first_item: int
    items: int


class Ring:
    """Rows of every array, blocks of them in the order of their arrival, and the items that begin in them.

    Items are counted from 0 for ever; `first_item <= item < next_item` are there. Each has a slot, `item % max_items`.
    """

    def __init__(self, fields: Mapping[str, Field], capacity: int, max_items: int) -> None:
        """Allocate `capacity` rows. The system gives memory when it is written to."""
        self.capacity, self.max_items = capacity, max_items
        self.arrays = {name: np.zeros((capacity, *field.shape), field.dtype) for name, field in fields.items()}
        self.blocks: deque[Block] = deque()
        self.first_block = self.first_item = self.next_item = 0
        """Numbers since the begin of the oldest block and item, and of the next item."""
        self._rows = np.zeros(max_items, dtype=np.int64)
        self._head = 0

    @property
    def next_block(self) -> int:
        """Number of the next block."""
        return self.first_block + len(self.blocks)

    @property
    def items(self) -> int:
        """Number of the items that are there."""
        return self.next_item - self.first_item

    def make_room(self, rows: int, items: int) -> None:
        """Drop the oldest blocks until a block of this size fits. Raises MisfitError for one that never will."""
        if rows > self.capacity or items > self.max_items:
            raise MisfitError(
                f"it takes {rows} rows and {items} items, and all there are is {self.capacity} rows and "
                f"{self.max_items} items"
            )
        if self._head + rows > self.capacity:
            while self.blocks and self.blocks[0].row >= self._head:
                self._drop()
            self._head = 0
        while self.blocks and self._head <= self.blocks[0].row < self._head + rows:
            self._drop()
        while self.blocks and self.items + items > self.max_items:
            self._drop()

    def append(self, rows: int, starts: Int) -> slice:
        """Add a block of `rows` with an item at each of its rows `starts`, for which there is room; return its rows."""
        row = self._head
        self._head += rows
        self.blocks.append(Block(row, rows, self.next_item, len(starts)))
        self._rows[np.arange(self.next_item, self.next_item + len(starts)) % self.max_items] = row + starts
        self.next_item += len(starts)
        return slice(row, row + rows)

    def rows_of(self, items: Int) -> Int:
        """Return the row [n] at which each item [n] begins."""
        return self._rows[items % self.max_items]

    def live(self, items: Int) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
        """Return which items [n] are there."""
        return (items >= self.first_item) & (items < self.next_item)

    def take(self, name: str, rows: Int, out: Array) -> None:
        """Copy rows [n, ...] of an array into `out` [n, ...], which is in C order."""
        # without mode numpy checks the bounds first and copies through a buffer
        self.arrays[name].take(rows, axis=0, out=out, mode="clip")

    def _drop(self) -> None:
        block = self.blocks.popleft()
        self.first_block += 1
        self.first_item = block.first_item + block.items
