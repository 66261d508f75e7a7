"""Update rules of ES and ARS against slow transcriptions of the papers' equations."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from surreal.algorithms.es.config import ARSConfig, ESConfig, chunk_size, read_config
from surreal.algorithms.es.optimizers import Adam, Momentum, ars_weights, centred_ranks, es_weights, grown_cap
from surreal.algorithms.types import Array

RETURNS = st.integers(1, 12).flatmap(lambda n: arrays(np.float64, (n, 2), elements=st.integers(-5, 5).map(float)))


@given(RETURNS)
def test_centred_ranks_are_how_many_are_worse_less_how_many_are_better(returns: Array) -> None:
    flat = returns.ravel()
    slow = [(np.sum(flat < r) - np.sum(flat > r)) / (2 * (flat.size - 1)) for r in flat]
    np.testing.assert_allclose(centred_ranks(returns).ravel(), slow, atol=1e-12)


@given(RETURNS)
def test_ranks_are_the_same_for_any_monotone_transform_of_the_returns(returns: Array) -> None:
    assert (centred_ranks(returns) == centred_ranks(np.exp(returns))).all()


@given(RETURNS, st.integers(0, 100))
def test_es_follows_the_sum_over_all_perturbations_and_their_mirror_images(returns: Array, seed: int) -> None:
    noise = np.random.default_rng(seed).standard_normal((len(returns), 3))
    ranks = centred_ranks(returns)
    slow = np.zeros(3)
    for pair in range(len(returns)):
        slow += ranks[pair, 0] * noise[pair] + ranks[pair, 1] * -noise[pair]
    np.testing.assert_allclose(es_weights(returns) @ noise, slow / returns.size, atol=1e-12)


def test_a_population_that_cannot_be_told_apart_does_not_move_the_policy() -> None:
    same = np.full((4, 2), 500.0)
    assert not es_weights(same).any()
    assert not ars_weights(same, top=2, learning_rate=1.0).any()


def test_a_population_of_one_pair_is_told_apart() -> None:
    assert es_weights(np.array([[3.0, 1.0]])) == [0.5]


@given(RETURNS, st.integers(1, 12))
def test_ars_is_algorithm_2_of_the_paper(returns: Array, top: int) -> None:
    order = sorted(range(len(returns)), key=lambda k: -max(returns[k]))[:top]
    used = [r for k in order for r in returns[k]]
    spread = np.sqrt(sum((r - sum(used) / len(used)) ** 2 for r in used) / len(used))
    slow = np.zeros(len(returns))
    for k in order:
        slow[k] = 0.02 / (len(order) * spread) * (returns[k, 0] - returns[k, 1]) if spread else 0.0
    np.testing.assert_allclose(ars_weights(returns, top, 0.02), slow, atol=1e-12)


def test_adam_is_kingma_and_bas_algorithm_1() -> None:
    rng, adam = np.random.default_rng(0), Adam(3, 0.1)
    m, v = np.zeros(3), np.zeros(3)
    for t in range(1, 6):
        g = rng.standard_normal(3).astype(np.float32)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        expected = 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(adam.step(g), expected, rtol=1e-4)


@pytest.mark.parametrize("make", [lambda: Adam(3, 0.1), lambda: Momentum(3, 0.1, 0.9)])
def test_an_optimizer_that_was_saved_goes_on_the_same(make: Any) -> None:
    gradients = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
    one, other = make(), make()
    for gradient in gradients[:3]:
        one.step(gradient)
    other.load({name: array.copy() for name, array in one.arrays().items()})
    assert (one.step(gradients[3]) == other.step(gradients[3])).all()


def test_the_cap_grows_when_enough_episodes_reach_it_and_not_beyond_the_largest() -> None:
    lengths = np.array([10, 10, 3, 4])
    assert grown_cap(10, lengths, threshold=0.5, growth=1.5, largest=100) == 15
    assert grown_cap(10, lengths, threshold=0.6, growth=1.5, largest=100) == 10
    assert grown_cap(10, lengths, threshold=0.5, growth=1.5, largest=12) == 12


def test_an_odd_population_is_refused_with_the_nearest_even_ones() -> None:
    with pytest.raises(ValidationError, match="must be even, not 33; 32 or 34"):
        ESConfig(population=33)


@pytest.mark.parametrize("config", [ESConfig, ARSConfig])
def test_a_sigma_of_zero_is_refused(config: Any) -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        config(sigma=0.0)


def test_more_top_directions_than_directions_are_refused() -> None:
    with pytest.raises(ValidationError, match="top is 5 of 4 directions"):
        ARSConfig(directions=4, top=5)


@pytest.mark.parametrize("config", [ESConfig(), ARSConfig(top=4)])
def test_a_complete_config_says_which_algorithm_it_is_of(config: Any) -> None:
    assert read_config(config.model_dump(mode="json")) == config


def test_a_chunk_is_a_quarter_of_a_workers_share_but_no_more_than_eight_pairs() -> None:
    sizes = [chunk_size(ARSConfig(directions=n), workers) for n, workers in ((1, 2), (32, 2), (1000, 2), (64, 16))]
    assert sizes == [1, 4, 8, 1]


@pytest.mark.parametrize("top", [0, -1, True, 1.5, "all", "halff"])
def test_a_top_that_is_no_share_is_refused_in_one_sentence(top: Any) -> None:
    with pytest.raises(ValidationError, match="whole number from 1 on, half, or null for all") as refused:
        ARSConfig(top=top)
    assert refused.value.error_count() == 1


@pytest.mark.parametrize(("top", "used"), [("half", 3), (None, 7), (2, 2)])
def test_ars_uses_half_of_the_directions_all_or_so_many(top: Any, used: int) -> None:
    assert ARSConfig(top=top).used(7) == used
    assert ARSConfig(directions=1).used(1) == 1
