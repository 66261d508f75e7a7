"""Advantages against a slow transcription of the definition: a sum over the rest of the episode, not a recursion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surreal.algorithms.returns import Bars, explained_variance, gae, next_values, vtrace
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


def unroll(rng: np.random.Generator, steps: int, copies: int, ends: float) -> tuple[Array, Array, Array, Array, Array]:
    """Random rewards, values, following values, done flags and ratios, float64 [steps, copies]."""
    rewards, values = rng.normal(size=(steps, copies)), rng.normal(size=(steps + 1, copies))
    terminated = rng.random((steps, copies)) < ends
    truncated = (rng.random((steps, copies)) < ends) & ~terminated
    following = next_values(values, terminated, truncated, rng.normal(size=int(truncated.sum())))
    return rewards, values[:-1], following, terminated | truncated, np.exp(rng.normal(size=(steps, copies)))


def slow_target(
    r: Array, v: Array, following: Array, done: Array, ratio: Array, s: int, gamma: float, lam: float, bars: Bars
) -> float:
    """Espeholt et al. 2018, eq. 1, with each product of traces made anew."""
    rho_bar, c_bar = (np.inf if bar is None else bar for bar in bars[:2])
    total = v[s]
    for t in range(s, len(r)):
        if done[s:t].any():
            break
        weight = gamma ** (t - s)
        for i in range(s, t):
            weight *= lam * min(c_bar, ratio[i])
        total += weight * min(rho_bar, ratio[t]) * (r[t] + gamma * following[t] - v[t])
    return float(total)


@pytest.mark.parametrize("bar", [None, 1.0, 3.7])
@pytest.mark.parametrize("lam", [1.0, 0.8, 0.0])
@pytest.mark.parametrize("ends", [0.0, 0.15])
def test_v_trace_equals_the_papers_sum_and_its_policy_gradient(bar: float | None, lam: float, ends: float) -> None:
    data = unroll(np.random.default_rng(7), 11, 3, ends)
    bars, gamma = Bars(bar, 1.0 if bar == 3.7 else bar, 2.0), 0.97
    found = vtrace(*data, gamma, lam, bars)
    assert found.targets.dtype == np.float64
    for copy in range(3):
        r, v, following, done, ratio = (part[:, copy] for part in data)
        expected = [slow_target(r, v, following, done, ratio, s, gamma, lam, bars) for s in range(len(r))]
        np.testing.assert_allclose(found.targets[:, copy], expected, rtol=1e-12, atol=1e-12)
        after = [following[s] if done[s] or s == len(r) - 1 else expected[s + 1] for s in range(len(r))]
        advantages = np.minimum(ratio, 2.0) * (r + gamma * np.array(after) - v)
        np.testing.assert_allclose(found.advantages[:, copy], advantages, rtol=1e-12, atol=1e-12)


def test_v_trace_on_policy_is_the_n_step_return() -> None:
    rewards, values, following, done, ratios = unroll(np.random.default_rng(1), 9, 4, 0.2)
    found = vtrace(rewards, values, following, done, np.ones_like(ratios), 0.9, 1.0, Bars())
    for copy in range(4):
        expected = following[-1, copy]
        for t in range(8, -1, -1):
            if done[t, copy]:
                expected = following[t, copy]
            expected = rewards[t, copy] + 0.9 * expected
            assert found.targets[t, copy] == pytest.approx(expected, abs=1e-12)
            assert found.advantages[t, copy] == pytest.approx(expected - values[t, copy], abs=1e-12)


def test_v_trace_of_an_unroll_longer_than_its_episodes_learns_nothing_across_their_ends() -> None:
    rewards, values, following, done, ratios = unroll(np.random.default_rng(2), 12, 1, 0.0)
    done[[3, 7]], following[[3, 7]] = True, 0.0
    whole = vtrace(rewards, values, following, done, ratios, 0.99, 0.9)
    for start, end in ((0, 4), (4, 8), (8, 12)):
        cut = slice(start, end)
        alone = vtrace(rewards[cut], values[cut], following[cut], done[cut], ratios[cut], 0.99, 0.9)
        np.testing.assert_allclose(whole.targets[cut], alone.targets, atol=1e-12)
        np.testing.assert_allclose(whole.advantages[cut], alone.advantages, atol=1e-12)
