"""Pessimistic value iteration: figures of the paper's claims, measured, and its parts against slow transcriptions."""

from collections.abc import Callable

import numpy as np
import pytest

from surreal.algorithms.pevi.instances import Instance, hard_pair, partial_coverage, random_linear
from surreal.algorithms.pevi.linear import bound, policy_value, solve, suboptimality, theory_beta

Make = Callable[[int, np.random.Generator], Instance]


def lost(make: Make, n: int, beta: float, draws: int) -> float:
    """Return the mean sub-optimality over draws."""
    rng = np.random.default_rng([7, n])
    made = (make(n, rng) for _ in range(draws))
    return float(np.mean([suboptimality(each.tables, solve(each.features, each.data, beta).policy) for each in made]))


def test_on_partial_coverage_greedy_loses_all_and_pessimism_nothing() -> None:
    assert lost(partial_coverage, 1_000, 0.0, 40) >= 0.19
    assert lost(partial_coverage, 1_000, 1.0, 40) <= 0.005
    assert lost(partial_coverage, 100, 0.0, 40) < lost(partial_coverage, 1_000, 0.0, 40)


def test_the_bound_holds_on_a_hundred_random_mdps() -> None:
    for seed in range(100):
        made = random_linear(300, np.random.default_rng([3, seed]))
        found = solve(made.features, made.data, 1.0)
        assert 0 <= suboptimality(made.tables, found.policy) <= bound(made.tables, found)


@pytest.mark.slow
@pytest.mark.parametrize("beta", [0.0, 0.3])
def test_on_the_hard_family_the_loss_falls_with_the_root_of_the_data(beta: float) -> None:
    sizes = [100, 300, 1_000, 3_000, 10_000, 30_000]
    found = [lost(hard_pair, n, beta, 300) for n in sizes]
    assert -0.6 <= np.polyfit(np.log(sizes), np.log(found), 1)[0] <= -0.4


def test_the_solution_is_that_of_the_algorithm_written_out() -> None:
    made, beta = random_linear(50, np.random.default_rng(1), width=3, states=4, actions=2, horizon=3), 0.7
    found = solve(made.features, made.data, beta)
    after = [0.0] * 4
    for h in (2, 1, 0):
        matrix, right = np.eye(3), np.zeros(3)
        for phi, reward, following in zip(*made.data[h][:3], strict=True):
            matrix += np.outer(phi, phi)
            right += phi * (reward + after[following])
        w = np.linalg.solve(matrix, right)
        for s in range(4):
            for a in range(2):
                phi = made.features[s, a]
                gamma = beta * float(np.sqrt(phi @ np.linalg.solve(matrix, phi)))
                expected = min(max(float(phi @ w) - gamma, 0.0), 3.0 - h)
                assert found.values[h, s, a] == pytest.approx(expected, abs=1e-10)
        after = [max(found.values[h, s]) for s in range(4)]


def test_more_pessimism_means_lower_values_within_the_clip() -> None:
    made = random_linear(80, np.random.default_rng(5))
    low, high = (solve(made.features, made.data, beta).values for beta in (2.0, 0.1))
    assert (low <= high + 1e-12).all()
    horizon = len(made.data)
    for h in range(horizon):
        assert low[h].min() >= 0
        assert high[h].max() <= horizon - h


def test_values_are_those_of_the_true_mdp() -> None:
    made = random_linear(10, np.random.default_rng(2), states=3, actions=2, horizon=2)
    policy = np.array([[0, 1, 0], [1, 1, 0]])
    total = 0.0
    for s in range(3):
        first = made.tables.rewards[0, s, policy[0, s]]
        then = sum(
            made.tables.transitions[0, s, policy[0, s], t] * made.tables.rewards[1, t, policy[1, t]] for t in range(3)
        )
        total += (first + then) / 3
    assert policy_value(made.tables, policy) == pytest.approx(total)
    assert theory_beta(2, 3, 10, 0.1) == pytest.approx(6 * np.sqrt(np.log(2 * 2 * 3 * 10 / 0.1)))
