"""Running statistics against numpy on everything at once, and against a slow transcription."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surreal.algorithms.normalizers import RewardScaler, RunningMoments, Standardizer


@given(st.lists(st.integers(0, 20), min_size=1, max_size=6), st.integers(0, 1000))
def test_moments_of_parts_are_the_moments_of_the_whole(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = [rng.normal(3, 5, size=(size, 2)) for size in sizes]
    moments = RunningMoments(2)
    for part in parts:
        moments.update(part)
    whole = np.concatenate(parts)
    if len(whole):
        np.testing.assert_allclose(moments.mean, whole.mean(axis=0), atol=1e-9)
        np.testing.assert_allclose(moments.variance, whole.var(axis=0), atol=1e-9)


def test_the_standardizer_before_any_data_is_the_identity_within_its_clip() -> None:
    standardize = Standardizer.of(RunningMoments(2))
    assert standardize(np.array([[1.5, 99.0]], dtype=np.float32)).tolist() == [[pytest.approx(1.5), 10.0]]


def test_standardized_observations_have_mean_zero_and_deviation_one() -> None:
    rows = np.random.default_rng(0).normal(4, 7, size=(5000, 3)).astype(np.float32)
    moments = RunningMoments(3)
    moments.update(rows)
    out = Standardizer.of(moments)(rows)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(out.std(axis=0), 1, atol=1e-3)


@pytest.mark.parametrize("constant", [0.0, -5.3, 1.7e9])
def test_what_never_changed_so_far_is_not_blown_up_when_it_does(constant: float) -> None:
    moments = RunningMoments(2)
    for _ in range(7):
        moments.update(np.stack([np.full(100, constant), np.arange(100.0)], axis=1))
    standardize = Standardizer.of(moments)
    changed = standardize(np.array([[constant + 0.001, 1.0]]))[0, 0]
    assert changed == pytest.approx(0.001, abs=1e-6)
    moments.update(np.array([[constant + 0.001, 1.0]]))
    assert Standardizer.of(moments).scale[0] > 1, "it changes, and so it is standardised"


def test_rewards_are_divided_by_the_deviation_of_the_discounted_return() -> None:
    rng, gamma = np.random.default_rng(0), 0.9
    fragments = [(rng.normal(size=(7, 2)), rng.random((7, 2)) < 0.3) for _ in range(3)]
    scaler = RewardScaler(gamma)
    seen, running = [], [0.0, 0.0]
    for rewards, done in fragments:
        scaler.update("actor/0", rewards, done)
        for t in range(7):
            for copy in range(2):
                running[copy] = gamma * running[copy] + rewards[t, copy]
                seen.append(running[copy])
                if done[t, copy]:
                    running[copy] = 0.0
    assert scaler(np.array([2.0]))[0] == pytest.approx(2.0 / np.std(seen), rel=1e-5)


def test_fragments_of_all_actors_are_discounted_together_as_one_after_the_other() -> None:
    rng, together, alone = np.random.default_rng(0), RewardScaler(0.9), RewardScaler(0.9)
    names, widths = ["actor/0", "actor/1", "actor/2"], [2, 1, 5]
    for _ in range(3):
        rewards = [rng.normal(size=(6, width)).astype(np.float32) for width in widths]
        done = [rng.random((6, width)) < 0.3 for width in widths]
        found = together.discounted(names, rewards, done)
        for name, each, *one in zip(names, found, rewards, done, strict=True):
            np.testing.assert_array_equal(each, alone.discounted([name], [one[0]], [one[1]])[0])


def test_several_fragments_of_one_actor_are_discounted_in_their_order() -> None:
    rng, together, alone = np.random.default_rng(0), RewardScaler(0.9), RewardScaler(0.9)
    names = ["actor/0", "actor/1", "actor/0", "actor/0"]
    for _ in range(2):
        rewards = [rng.normal(size=(4, 2)).astype(np.float32) for _ in names]
        done = [rng.random((4, 2)) < 0.2 for _ in names]
        found = together.discounted(names, rewards, done)
        for name, each, *one in zip(names, found, rewards, done, strict=True):
            np.testing.assert_array_equal(each, alone.discounted([name], [one[0]], [one[1]])[0])


def test_a_restarted_actor_starts_its_discounted_returns_anew() -> None:
    ones, never = np.ones((1, 1)), np.zeros((1, 1), dtype=bool)
    scaler = RewardScaler(1.0)
    scaler.update("actor/0", ones * 5, never)
    scaler.forget("actor/0")
    scaler.update("actor/0", ones * 5, never)
    assert scaler.moments.variance[0] == pytest.approx(0.0)
