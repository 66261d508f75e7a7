"""Advantages against a slow transcription of the definition: a sum over the rest of the episode, not a recursion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surreal.algorithms.returns import explained_variance, gae, next_values
from surreal.algorithms.types import Array


def slow_advantage(r: Array, v: Array, following: Array, done: Array, t: int, gamma: float, lam: float) -> float:
    """Schulman et al. 2016, eq. 16: sum over l of (gamma lambda)^l delta_{t+l}, up to the end of the episode."""
    total, weight = 0.0, 1.0
    for k in range(t, len(r)):
        total += weight * (r[k] + gamma * following[k] - v[k])
        if done[k]:
            break
        weight *= gamma * lam
    return total


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1), st.integers(1, 12), st.integers(1, 3))
def test_advantages_equal_the_papers_sum(seed: int, gamma: float, lam: float, steps: int, copies: int) -> None:
    rng = np.random.default_rng(seed)
    rewards, values = rng.normal(size=(steps, copies)), rng.normal(size=(steps + 1, copies))
    terminated = rng.random((steps, copies)) < 0.2
    truncated = (rng.random((steps, copies)) < 0.2) & ~terminated
    final = rng.normal(size=int(truncated.sum()))
    following = next_values(values, terminated, truncated, final)
    done = terminated | truncated
    advantages = gae(rewards, values[:-1], following, done, gamma, lam)
    for copy in range(copies):
        for t in range(steps):
            r, v, after, over = (a[:, copy] for a in (rewards, values[:-1], following, done))
            assert advantages[t, copy] == pytest.approx(slow_advantage(r, v, after, over, t, gamma, lam), abs=1e-5)


def test_a_terminated_state_has_no_future_and_a_truncated_one_has_its_final_observations_value() -> None:
    values = np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]])
    terminated, truncated = np.array([[True, False, False]]), np.array([[False, True, False]])
    assert next_values(values, terminated, truncated, np.array([7.0])).tolist() == [[0.0, 7.0, 2.0]]


def test_final_values_belong_to_the_truncated_steps_in_row_major_order() -> None:
    values, none = np.zeros((3, 2)), np.zeros((2, 2), dtype=bool)
    truncated = np.array([[False, True], [True, False]])
    assert next_values(values, none, truncated, np.array([1.0, 2.0])).tolist() == [[0.0, 1.0], [2.0, 0.0]]


def test_explained_variance_is_one_for_a_perfect_value_function_and_zero_for_a_constant() -> None:
    returns = np.array([1.0, 2.0, 4.0])
    assert explained_variance(returns, returns) == 1.0
    assert explained_variance(np.full(3, 5.0), returns) == pytest.approx(0.0)
    assert np.isnan(explained_variance(returns, np.ones(3)))
