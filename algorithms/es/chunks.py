"""Shares of the workers. A chunk is a run of mirrored pairs; the master hands none out, every worker knows its own.

In a fixed (deterministic) generation of `chunks` chunks, a worker has a share of its own and takes on what others have
left once it has nothing else to do: whatever became of them, every chunk is evaluated. In an open generation the
numbers never end and no two workers ever have the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from surreal.algorithms.types import Array
from surreal.protocol.wire.packet import Version

WORKERS = 2**16
"""Indices of workers are below this."""
STARTS = 2**15
"""Starts of one worker after which its numbers repeat, which costs it a refused chunk."""


def open_chunks(worker: int, incarnation: int) -> Iterator[int]:
    """Yield the chunks of one start of one worker, without end."""
    for number in count():
        yield (number * STARTS + incarnation % STARTS) * WORKERS + worker


def own_chunks(worker: int, workers: int, chunks: int) -> Iterator[int]:
    """Yield the share of `worker`, in ascending order; none for one that joined a run of fewer `workers`."""
    if worker < workers:
        yield from range(worker * chunks // workers, (worker + 1) * chunks // workers)


def others_chunks(worker: int, workers: int, chunks: int) -> Iterator[int]:
    """Yield the other workers' shares, the next one's first, each from its end, where its owner comes to last."""
    for other in range(worker + 1, worker + workers + (worker >= workers)):
        yield from reversed(list(own_chunks(other % workers, workers, chunks)))


@dataclass(eq=False)
class Task:
    """A chunk under way: 2 x pairs episodes and what came of them."""

    version: Version
    """Version of the weights that its perturbations are around."""
    chunk: int
    pairs: Array
    """Their numbers, int64 [n]."""
    offsets: Array
    """Offsets of their perturbations in the noise table, int64 [n]."""
    seeds: Array
    """Seeds of their environments, int64 [n]."""
    counted: Array
    """True for pairs whose observations enter the statistics, bool [n]."""
    sums: Array
    """Sums of those observations, int64 [2 x observation + 1]; the last entry is their number."""
    returns: Array = field(init=False)
    steps: Array = field(init=False)
    left: int = field(init=False)
    """Episodes that have not ended."""

    def __post_init__(self) -> None:
        shape = (len(self.pairs), 2)
        self.returns, self.steps = np.full(shape, np.nan), np.zeros(shape, dtype=np.uint32)
        self.left = 2 * len(self.pairs)

    def record(self, row: int, side: int, total: float, steps: int, sums: Array | None) -> None:
        """Record the end of one episode. `sums` is None where something was not finite: its return is then NaN."""
        self.left -= 1
        self.returns[row, side] = total if sums is not None else np.nan
        self.steps[row, side] = steps
        if sums is not None and self.counted[row]:
            self.sums[:-1] += sums.ravel()
            self.sums[-1] += steps
