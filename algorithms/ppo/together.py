"""The epochs of an update that several learners make together, as one learner with all their rows would make it.

All draw the same order of the rows of all, and each differentiates its own rows of a minibatch. A minibatch's gradient
is the sum of theirs, weighed by their numbers of rows. So the parameters stay the same on all learners, and are those
of one learner but for the rounding of sums.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from surreal.algorithms.group.exchange import Learners
from surreal.algorithms.ppo.batch import Batch, Minibatch
from surreal.algorithms.ppo.gradients.base import Gradient, Rates, Stats
from surreal.algorithms.rollouts.trajectories import Trajectories
from surreal.algorithms.types import Array

SUMS = ("count", "policy_loss", "value_loss", "entropy", "kl", "clip_fraction")


class Part(NamedTuple):
    """Own part of a minibatch of all learners."""

    rows: Array
    """All its rows [n], of the batch of all learners."""
    own: Array
    """Own rows among them, of the own batch."""
    sequences: Array | None = None
    """Own sequences of a network with memory, to which the own rows belong."""


class TogetherBatch:
    """The own batch, its place in that of all learners, and the estimates for all."""

    def __init__(self, batch: Batch, data: Trajectories, learners: Learners) -> None:
        assert data.share is not None
        self.batch, self.share, self._learners = batch, data.share, learners
        self._steps, self._copies = data.rewards.shape
        self.advantages = self.values = np.empty(0, dtype=np.float32)

    def estimate(self, advantages: Array, values: Array) -> None:
        """Set own advantages and values [steps, copies], and learn those of the others."""
        self.batch.estimate(advantages, values)
        own = {"advantages": np.array(advantages), "values": np.array(values)}
        found = self._learners.gather(own)
        self.advantages = self.share.joined([each["advantages"] for each in found]).reshape(-1)
        self.values = self.share.joined([each["values"] for each in found]).reshape(-1)

    def minibatches(self, rng: np.random.Generator, size: int, normalize: bool) -> Iterator[tuple[Minibatch, float]]:
        """Yield the own part of each minibatch of one epoch, and its share of the rows.

        With `normalize` advantages have mean 0 and deviation 1 over the rows of all learners.
        """
        own = self.share.own
        for part in self._parts(rng, size, own):
            share = len(part.own) / len(part.rows)
            # an engine differentiates one row at least, here for nothing
            part = part if share else self._anything(part)
            advantages = self.batch.advantages[part.own]
            if normalize:
                advantages = _normalized(advantages, self.advantages[part.rows])
            memories = None
            if part.sequences is not None and self.batch.sequences is not None:
                memories = self.batch.remembered(*self.batch.sequences.memories(part.sequences))
            yield self.batch.minibatch(part.own, memories, advantages=advantages), share

    def _parts(self, rng: np.random.Generator, size: int, own: Array) -> Iterator[Part]:
        copies, sequences = self.share.copies, self.batch.sequences
        if sequences is None:
            order = rng.permutation(self._steps * copies)
            for start in range(0, len(order), size):
                yield Part(rows := order[start : start + size], self._own(rows, own))
            return
        length, blocks = sequences.length, self._steps // sequences.length
        order, together = rng.permutation(blocks * copies), max(1, size // length)
        for start in range(0, len(order), together):
            group = order[start : start + together]
            steps = group // copies * length + np.arange(length)[:, None]
            mine = self._own(group, own)
            yield Part((steps * copies + group % copies).reshape(-1), sequences.rows(mine).reshape(-1), mine)

    def _anything(self, part: Part) -> Part:
        first = np.zeros(1, dtype=np.int64)
        if self.batch.sequences is None:
            return part._replace(own=first)
        return part._replace(own=self.batch.sequences.rows(first).reshape(-1), sequences=first)

    def _own(self, places: Array, own: Array) -> Array:
        """Return own places of those [n] among all, which count time (or blocks of it) first, then copies."""
        column = own[places % self.share.copies]
        return np.asarray((places // self.share.copies * self._copies + column)[column >= 0])


def _normalized(own: Array, all_rows: Array) -> Array:
    mean = all_rows.mean()
    centred = all_rows - mean
    deviation = np.sqrt(np.dot(centred, centred) / np.float32(len(all_rows))) + np.float32(1e-8)
    return np.asarray((own - mean) / deviation)


def step(
    engine: Gradient, learners: Learners, own: tuple[Minibatch, float], rates: Rates, beta: float, stats: Stats | None
) -> None:
    """Take the step of a minibatch of all learners, of which the `own` part and its share are given."""
    minibatch, share = own
    if stats is not None:
        stats.weight = share
    gradient = engine.differentiate(minibatch, beta, stats)
    total = learners.total(_array(gradient) * np.float32(share) if share else np.zeros(len(gradient), np.float32))
    if isinstance(gradient, np.ndarray):
        gradient[:] = total
    else:
        gradient.copy_(engine.place(total))
    engine.apply(rates)


def _array(flat: Any) -> Array:
    return flat if isinstance(flat, np.ndarray) else np.asarray(flat.cpu().numpy())


def summed(learners: Learners, stats: Stats) -> Stats:
    """Return the sums of the numbers of all learners."""
    total = learners.total(np.array([getattr(stats, name) for name in SUMS]))
    return Stats(**dict(zip(SUMS, total.tolist(), strict=True)))
