"""Points of a sweep: the combinations of a grid, and random ones, each the same whenever it is asked for."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import exp, log
from typing import Any

import numpy as np

from surreal.orchestrator.sweeps.model import RangeSpec

Point = dict[str, Any]
"""Key of the experiment -> value."""
Space = Mapping[str, RangeSpec | list[Any]]


def grid_points(grid: Mapping[str, Sequence[Any]]) -> list[Point]:
    """Return every combination, the last key changing first; one empty point of an empty grid."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def random_point(space: Space, seed: int, number: int) -> Point:
    """Return the point of trial `number`: of the seed and the number alone, so that a restart repeats none."""
    rng = np.random.default_rng((seed, number))
    return {key: _drawn(values, rng) for key, values in space.items()}


def _drawn(values: RangeSpec | list[Any], rng: np.random.Generator) -> Any:
    if not isinstance(values, RangeSpec):
        return values[int(rng.integers(len(values)))]
    low, high = float(values.low), float(values.high)
    if values.whole:
        # Ends count as much as the numbers between them.
        low, high = low - 0.5 if not values.log else low, high + 0.5 if not values.log else high
    drawn = exp(rng.uniform(log(low), log(high))) if values.log else float(rng.uniform(low, high))
    return min(max(round(drawn), int(values.low)), int(values.high)) if values.whole else drawn
