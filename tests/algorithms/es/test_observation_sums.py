"""Observation statistics by sums that may be added up in any order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from surreal.algorithms.es.observation_sums import EpisodeSums, merge, standardizer
from surreal.algorithms.normalizers import RunningMoments, Standardizer
from surreal.algorithms.types import Array


def sums_of(rows: Array, used: Standardizer) -> Array:
    sums = EpisodeSums(1, rows.shape[1])
    for row in rows:
        sums.add(((row - used.shift) * used.scale)[None].astype(np.float32))
    result = sums.of(0)
    assert result is not None
    return result


@given(st.permutations(range(6)))
def test_the_order_of_addition_does_not_matter(order: list[int]) -> None:
    rows = np.random.default_rng(0).normal(3, 2, (60, 4)).astype(np.float32)
    used = Standardizer(np.full(4, 2.5, np.float32), np.full(4, 0.7, np.float32))
    parts = [sums_of(rows[10 * n : 10 * n + 10], used) for n in range(6)]
    np.testing.assert_array_equal(sum(parts[n] for n in order), sums_of(rows, used))


def test_merged_sums_give_the_mean_and_variance_of_the_observations() -> None:
    rows = np.random.default_rng(0).normal([3, -100, 0], [2, 30, 0.05], (2000, 3)).astype(np.float32)
    moments = RunningMoments(3)
    moments.update(rows[:200])
    used = standardizer(moments)
    merge(moments, used, sums_of(rows[200:], used), 1800)
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0, dtype=np.float64), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(moments.variance, rows.var(axis=0, dtype=np.float64), rtol=1e-3)


def test_an_observation_that_is_not_finite_spoils_its_episode_alone() -> None:
    sums = EpisodeSums(2, 1)
    sums.add(np.array([[np.nan], [1.0]], dtype=np.float32))
    assert sums.of(0) is None
    assert sums.of(1) is not None
    sums.clear(0)
    assert sums.of(0) is not None


def test_what_never_changed_so_far_is_not_blown_up_when_it_does() -> None:
    moments = RunningMoments(1)
    moments.update(np.zeros((1000, 1)))
    assert standardizer(moments).scale[0] == 1000.0
