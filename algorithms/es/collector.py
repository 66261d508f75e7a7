"""The master's part of a generation: results as they come, in bulk, each chunk once."""

from collections.abc import Callable
from dataclasses import dataclass
from logging import getLogger
from time import monotonic
from typing import NamedTuple

import numpy as np

from surreal.algorithms.es.weights import Weights
from surreal.algorithms.types import Array
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.wire.packet import Message

CALL_EVERY = 1.0
"""Seconds between two calls during a wait, with what is missing."""
log = getLogger(__name__)


class Results(NamedTuple):
    """One generation's, in an order that does not depend on who sent them when."""

    generations: Array
    """Generation of the weights that each pair was evaluated around, int64 [n]."""
    pairs: Array
    """Their numbers in those generations, int64 [n]."""
    returns: Array
    """float64 [n, 2]: of both mirror images; all are finite."""
    steps: Array
    """int64 [n, 2]: lengths of the episodes."""
    sums: dict[int, Array]
    """Generation -> sums of the observations standardised as in it, int64 [2 x observation + 1]."""
    broken: int
    """Pairs that were dropped because a return was not finite."""


@dataclass
class Counters:
    """Counts of what was left out, since the start of this process."""

    late: int = 0
    """Episodes around weights that were too old."""
    repeated: int = 0
    """Episodes that another worker, or an earlier start, had evaluated too."""
    by_restart: int = 0
    """Episodes around weights of a master that died."""
    malformed: int = 0
    """Messages that were no results."""
    broken: int = 0
    """Episodes whose return was not finite, with their mirror images."""


class Collector:
    """Receives results until a generation has enough."""

    def __init__(self, channel: StreamReceiver) -> None:
        self._channel = channel
        self.counters = Counters()
        self._seen: dict[int, set[int]] = {}
        self._kept: list[tuple[int, int, Message]] = []
        self._pairs = 0

    def collect(self, weights: Weights, waiting: Callable[[str, float], None] = lambda what, _: None) -> Results:
        """Wait for the results of `weights`' generation: all of a fixed one, of an open one the first (with those of
        earlier generations that are not too late). Raises Stopping.

        Every second `waiting` is called with what is missing and the seconds so far.
        """
        orders, began = weights.orders, monotonic()
        called = began
        while self._pairs < orders.pairs:
            message = self._channel.recv(timeout=0.5)
            if message is not None:
                self._take(message, weights)
            if (now := monotonic()) > called + CALL_EVERY:
                called = now
                waiting(f"results of workers: {orders.pairs - self._pairs} of {orders.pairs} pairs", now - began)
        kept, self._kept, self._pairs = self._kept, [], 0
        self._seen = {
            generation: chunks
            for generation, chunks in self._seen.items()
            if weights.generation - generation < orders.max_staleness
        }
        return self._joined(kept, orders.chunk)

    def _take(self, message: Message, weights: Weights) -> None:
        epoch, generation = message.version
        returns, chunk = message.arrays.get("returns"), message.meta.get("chunk")
        if returns is None or not isinstance(chunk, int) or not _well_formed(message, weights):
            self.counters.malformed += 1
            log.warning("%s sent something that is no result; it does not count", message.sender)
        elif epoch != weights.version[0]:
            self.counters.by_restart += returns.size
        elif weights.generation - generation > weights.orders.max_staleness:
            self.counters.late += returns.size
        elif chunk in self._seen.setdefault(generation, set()):
            self.counters.repeated += returns.size
        else:
            self._seen[generation].add(chunk)
            self._kept.append((generation, chunk, message))
            self._pairs += len(returns)

    def _joined(self, kept: list[tuple[int, int, Message]], chunk_size: int) -> Results:
        """Return all of `kept` by generation and number, without the pairs that have a return that is not finite."""
        kept.sort(key=lambda entry: entry[:2])
        counts = [len(message.arrays["returns"]) for _, _, message in kept]
        generations = np.repeat([generation for generation, _, _ in kept], counts)
        within = np.concatenate([np.arange(count) for count in counts])
        pairs = np.repeat(np.array([chunk for _, chunk, _ in kept], dtype=np.int64), counts) * chunk_size + within
        returns = np.concatenate([message.arrays["returns"] for _, _, message in kept])
        steps = np.concatenate([message.arrays["steps"] for _, _, message in kept]).astype(np.int64)
        sums: dict[int, Array] = {}
        for generation, _, message in kept:
            if "sums" in message.arrays:
                sums[generation] = sums.get(generation, 0) + message.arrays["sums"]
        fine = np.isfinite(returns).all(axis=1)
        broken = int((~fine).sum())
        if broken:
            self.counters.broken += 2 * broken
            log.warning("%d of %d pairs returned NaN or infinity and were dropped", broken, len(fine))
        return Results(generations[fine], pairs[fine], returns[fine], steps[fine], sums, broken)


def _well_formed(message: Message, weights: Weights) -> bool:
    """Return True if the arrays have the types and shapes of a chunk's results."""
    returns, steps, sums = (message.arrays.get(name) for name in ("returns", "steps", "sums"))
    shape = (len(returns), 2) if returns is not None and returns.ndim == 2 else None
    return (
        returns is not None
        and steps is not None
        and (returns.shape, steps.shape) == (shape, shape)
        and returns.dtype == np.float64
        and steps.dtype == np.uint32
        and 0 < len(returns) <= weights.orders.chunk
        and 0 <= message.meta["chunk"] < 2**62 // weights.orders.chunk
        and (sums is None or (sums.dtype == np.int64 and sums.shape == (2 * len(weights.standardize.shift) + 1,)))
    )
