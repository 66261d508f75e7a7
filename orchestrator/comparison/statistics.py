"""Statistics over seeds as Agarwal et al. 2021 (rliable) propose them; every contestant has a generator of its own."""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from surreal.algorithms.types import Array

REPETITIONS = 2000
"""Resamples of a bootstrap."""
LEAST = 3
"""Seeds below which no interval is given: two resample to themselves."""


def iqm(values: Array, axis: int = -1) -> Array:
    """Return the interquartile mean: that of the values left when floor(n / 4) are cut at both ends, as scipy cuts."""
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=axis)
    cut = ordered.shape[axis] // 4
    kept = np.take(ordered, range(cut, ordered.shape[axis] - cut), axis=axis)
    return np.asarray(kept.mean(axis=axis))


def kept(count: int) -> int:
    """Return how many of `count` values the interquartile mean is of."""
    return count - 2 * (count // 4)


def generator(name: str) -> np.random.Generator:
    """Return the generator of a contestant: its interval does not depend on the others, nor on their order."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def interval(
    values: Array,
    statistic: Callable[[Array], Array],
    rng: np.random.Generator,
    repetitions: int = REPETITIONS,
    share: float = 0.95,
) -> tuple[Array, Array] | None:
    """Return the percentile bootstrap interval of a statistic over the runs, the last axis of `values` [..., runs].

    `statistic` maps [..., runs] to [...]. None for fewer than three runs.
    """
    runs = values.shape[-1]
    if runs < LEAST:
        return None
    drawn = statistic(values[..., rng.integers(0, runs, (repetitions, runs))])
    low, high = np.quantile(drawn, ((1 - share) / 2, (1 + share) / 2), axis=-1)
    return low, high


def improvement(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the probability that a run of `ours` is better than one of `theirs`; equal ones count half."""
    a, b = np.asarray(ours)[:, None], np.asarray(theirs)[None, :]
    return float(((a > b) + 0.5 * (a == b)).mean())
