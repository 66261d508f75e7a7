"""Sums of observations that do not depend on the order in which they are added up.

Observations enter standardised by the statistics that their generation was sent, rounded to 1/256 and held within
+-1024: integers whose sums are exact in float64 (an episode's) and int64 (a generation's), so that the statistics
are the same bit for bit whichever worker evaluated an episode.
"""

import numpy as np

from surreal.algorithms.normalizers import RunningMoments, Standardizer
from surreal.algorithms.types import Array, narrowed

UNIT = 256.0
BOUND = 1024.0 * UNIT
SMALLEST_STD = 1e-3
"""A feature that hardly ever changes is not blown up beyond this, and its first change can be measured."""


def standardizer(moments: RunningMoments) -> Standardizer:
    """Return the present statistics, with a floor under the standard deviation."""
    std = np.maximum(np.sqrt(moments.variance), SMALLEST_STD)
    return Standardizer(narrowed(moments.mean), (1.0 / std).astype(np.float32))


class EpisodeSums:
    """Sums for each of several episodes under way: of its standardised observations and of their squares."""

    def __init__(self, episodes: int, size: int) -> None:
        self._sums = np.zeros((episodes, 2, size))

    def add(self, standardised: Array) -> None:
        """Take in one observation of every episode, [episodes, size]."""
        units = np.rint(standardised * np.float32(UNIT)).astype(np.float64)
        np.minimum(np.maximum(units, -BOUND, out=units), BOUND, out=units)
        self._sums[:, 0] += units
        units *= units
        self._sums[:, 1] += units

    def clear(self, episode: int) -> None:
        """Begin episode number `episode` anew."""
        self._sums[episode] = 0.0

    def of(self, episode: int) -> Array | None:
        """Return its sums [2, size] int64; None where an observation was not finite."""
        sums = self._sums[episode]
        return sums.astype(np.int64) if np.isfinite(sums).all() else None


def merge(moments: RunningMoments, used: Standardizer, sums: Array, count: int) -> None:
    """Take `count` observations with `sums` [2, size] int64, standardised with `used`, into `moments`."""
    if not count:
        return
    mean = sums[0] / (count * UNIT)
    variance = np.maximum(sums[1] / (count * UNIT * UNIT) - mean * mean, 0.0)
    std = 1.0 / used.scale.astype(np.float64)
    moments.merge(used.shift.astype(np.float64) + mean * std, variance * std * std, count)
