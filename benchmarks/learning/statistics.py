"""Aggregates over runs, as Agarwal et al. 2021 (Deep RL at the edge of the statistical precipice) advise.

A table is a list per task of one return per seed. Intervals are percentile bootstraps stratified by task: seeds are
drawn anew within each task, of the reference too, and the tasks stay. Each task counts alike, whatever its seeds.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Returns = Sequence[Sequence[float] | Array]
"""[task][seed]"""
DRAWS = 2000
SEED = 0
NEAR = 1e-9
"""Smallest way from a random policy to the reference: a draw of seeds in which the reference learned nothing."""
SLACK = 0.05
"""Share of the way from a random policy to the table's mean by which a run may lie outside of what was seen."""


def iqm(values: Sequence[float] | Array, weights: Sequence[float] | Array | None = None) -> float:
    """Return the interquartile mean: of the sorted values, the middle half, its ends counted by their share.

    A value counts by its weight; by default all count alike.
    """
    found = np.asarray(values, dtype=np.float64)
    shares = np.ones(len(found)) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(found, kind="stable")
    ends = np.cumsum(shares[order]) / shares.sum()
    # value i covers [start, end] of the whole; it counts by how much of that lies in the middle half
    inner = np.clip(np.minimum(ends, 0.75) - np.maximum(np.append(0.0, ends[:-1]), 0.25), 0, 1)
    return float(inner @ found[order] / inner.sum())


def scores(ours: Returns, theirs: Returns, floors: Sequence[float]) -> list[Array]:
    """Return [task][seed]: (return - floor) / (mean of theirs - floor).

    So a policy that acts at random, whose return is the floor of its task, has 0, and the mean of the reference 1.
    """
    ways = [max(float(np.mean(task)) - floor, NEAR) for task, floor in zip(theirs, floors, strict=True)]
    pairs = zip(ours, floors, ways, strict=True)
    return [(np.asarray(task, dtype=np.float64) - floor) / way for task, floor, way in pairs]


def iqm_of_table(table: Returns) -> float:
    """Return the interquartile mean over all runs, where the runs of a task together count as much as another's."""
    return iqm(np.concatenate(table), np.concatenate([np.full(len(task), 1 / len(task)) for task in table]))


def improvement(ours: Returns, theirs: Returns) -> float:
    """Return the probability that a run of ours beats one of theirs on a task drawn at random; ties count half."""
    shares = []
    for mine, other in zip(ours, theirs, strict=True):
        a, b = np.asarray(mine)[:, None], np.asarray(other)[None, :]
        shares.append(float((a > b).mean() + 0.5 * (a == b).mean()))
    return float(np.mean(shares))


def interval(statistic: Callable[..., float], *tables: Returns, share: float = 0.95) -> tuple[float, float]:
    """Return the bootstrap interval of `statistic(*tables)` that holds `share` of DRAWS stratified draws."""
    rng = np.random.default_rng(SEED)

    def drawn(table: Returns) -> list[Array]:
        return [np.asarray(task)[rng.integers(len(task), size=len(task))] for task in table]

    values = [statistic(*(drawn(table) for table in tables)) for _ in range(DRAWS)]
    low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def expected(values: Sequence[float], floor: float) -> tuple[float, float]:
    """Return the interval of one more run: the range of `values`, wider by its own width and by SLACK at each side.

    values: one figure of every seed in the table; floor: that of a policy that acts at random.
    """
    low, high = min(values), max(values)
    more = (high - low) + SLACK * abs(sum(values) / len(values) - floor)
    return low - more, high + more
