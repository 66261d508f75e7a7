"""The sum tree against a list of priorities that is added up anew at every question."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surreal.algorithms.replay.sum_tree import FAN_OUT, SumTree

sizes = st.sampled_from([1, 2, FAN_OUT - 1, FAN_OUT, FAN_OUT + 1, FAN_OUT**2 + 7])


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_every_running_sum_finds_the_leaf_that_a_slow_search_finds(size: int, seed: int, rounds: int) -> None:
    rng = np.random.default_rng(seed)
    tree, slow = SumTree(size), np.zeros(size)
    for _ in range(rounds):
        leaves = rng.integers(0, size, rng.integers(1, 40))
        # whole numbers: sums are then exact in any order
        values = rng.integers(0, 5, len(leaves)).astype(float)
        tree.set(leaves, values)
        for leaf, value in zip(leaves, values, strict=True):
            slow[leaf] = value
        assert tree.total == slow.sum()
        assert (tree.get(np.arange(size)) == slow).all()
        if slow.sum():
            sums = rng.integers(0, int(slow.sum()), 50).astype(float)
            assert (tree.find(sums) == np.searchsorted(np.cumsum(slow), sums, side="right")).all()


def test_a_leaf_of_priority_zero_is_never_drawn_however_the_sums_were_rounded() -> None:
    rng = np.random.default_rng(0)
    tree = SumTree(5000)
    for _ in range(300):
        tree.set(rng.integers(0, 5000, 200), rng.random(200) * 10.0 ** rng.integers(-12, 12))
    tree.set(np.arange(0, 5000, 2), 0.0)
    for _ in range(200):
        drawn = tree.draw(256, rng)
        assert (drawn % 2 == 1).all()
        assert (drawn < 5000).all()
    edges = np.array([0.0, np.nextafter(tree.total, 0.0)])
    assert (tree.get(tree.find(edges)) > 0).all()


def test_sums_do_not_drift_over_a_million_updates() -> None:
    rng = np.random.default_rng(1)
    tree = SumTree(2000)
    for _ in range(2000):
        tree.set(rng.integers(0, 2000, 500), rng.random(500))
    assert tree.total == pytest.approx(tree.get(np.arange(2000)).sum(), rel=1e-13)
    tree.set(np.arange(2000), 0.0)
    assert tree.total == 0.0


def test_draws_are_in_proportion_to_priorities() -> None:
    rng = np.random.default_rng(2)
    tree = SumTree(100)
    priorities = rng.random(100)
    tree.set(np.arange(100), priorities)
    counts = np.bincount(np.concatenate([tree.draw(100, rng) for _ in range(2000)]), minlength=100)
    # 200,000 draws: four standard deviations of the rarest
    assert np.abs(counts / counts.sum() - priorities / priorities.sum()).max() < 5e-4


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(ValueError, match="all priorities are 0"):
        SumTree(10).draw(1, np.random.default_rng(0))
