"""Aggregates over runs, as Agarwal et al. 2021 (Deep RL at the edge of the statistical precipice) advise.

A table of scores is a list per task of one score per seed. Intervals are percentile bootstraps stratified by task:
seeds are drawn anew within each task, the tasks stay.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Scores = Sequence[Sequence[float]]
"""[task][seed]"""
DRAWS = 2000
SEED = 0


def iqm(values: Sequence[float] | Array) -> float:
    """Return the interquartile mean: of the sorted values, the middle half, its ends counted by their share."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    # value i covers [i, i + 1] of n; its weight is how much of that lies in the middle half
    starts = np.arange(n)
    weights = np.clip(np.minimum(starts + 1, 0.75 * n) - np.maximum(starts, 0.25 * n), 0, 1)
    return float(weights @ ordered / weights.sum())


def iqm_of_table(scores: Scores) -> float:
    """Return the interquartile mean over all runs of all tasks."""
    return iqm(np.concatenate([np.asarray(task, dtype=np.float64) for task in scores]))


def improvement(ours: Scores, theirs: Scores) -> float:
    """Return the probability that a run of ours beats one of theirs on a task drawn at random; ties count half."""
    shares = []
    for mine, other in zip(ours, theirs, strict=True):
        a, b = np.asarray(mine)[:, None], np.asarray(other)[None, :]
        shares.append(float((a > b).mean() + 0.5 * (a == b).mean()))
    return float(np.mean(shares))


def interval(statistic: Callable[..., float], *tables: Scores, share: float = 0.95) -> tuple[float, float]:
    """Return the bootstrap interval of `statistic(*tables)` that holds `share` of DRAWS stratified draws."""
    rng = np.random.default_rng(SEED)

    def drawn(table: Scores) -> list[Array]:
        return [np.asarray(task)[rng.integers(len(task), size=len(task))] for task in table]

    values = [statistic(*(drawn(table) for table in tables)) for _ in range(DRAWS)]
    low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def normalized(value: float | None, floor: float, reference: float) -> float:
    """Return `value` on the scale where `floor` is 0 and `reference` 1; a run without a value counts 0."""
    return 0.0 if value is None else (value - floor) / (reference - floor)
