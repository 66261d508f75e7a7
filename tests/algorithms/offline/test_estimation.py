"""Estimates of a policy's value from data alone, with their errors against its true returns."""

import numpy as np
import pytest

from surreal.algorithms.datasets.episode import DamagedError, Episode
from surreal.algorithms.datasets.fragments import Fragments
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.exporting.record import Behaviour, Recording, acting, play
from surreal.algorithms.offline.catch import RULES, Catch
from surreal.algorithms.offline.estimation import Fitting, fitted_q, importance_sampling, true_value
from surreal.algorithms.offpolicy.shape import Shape
from surreal.algorithms.types import Array

GAMMA = 0.95


def played(noise: float, count: int, seed: int) -> list[Episode]:
    """Return episodes of catch by its rule with a share of random choices."""
    env, found = Catch(), list[Episode]()
    made = Environment(env, "catch")
    settings = Recording("x", "x/x-v0", noise=noise)  # type: ignore[arg-type]
    for number in range(count):
        act = acting(Behaviour("rule", None, rule=RULES["catch"]), env.action_space, settings)
        found.append(play(made, act, seed + number, np.random.default_rng([seed, number]), f"episode {number}"))
    return found


@pytest.fixture(scope="module")
def data() -> list[Episode]:
    return played(0.6, 400, 1)


def by_rule(features: Array) -> Array:
    return np.array([RULES["catch"](row) for row in features])


def true() -> float:
    return true_value([each.rewards for each in played(0.0, 50, 10_000)], GAMMA)


def test_fitted_q_estimates_the_value_of_another_policy(data: list[Episode]) -> None:
    spaces = Spaces(Catch().observation_space, Catch().action_space)
    fragments = [piece for each in data for piece in Fragments(spaces).of(each)]
    shape = Shape("values", spaces, (32,), 1)
    settings = Fitting(gamma=GAMMA, updates=1_500, batch=64, hidden=(32,), rate=3e-3, target_share=0.1)
    found = fitted_q(fragments, by_rule, shape, settings)
    recorded = true_value([each.rewards for each in data], GAMMA)
    assert abs(found - true()) < 0.1 < true() - recorded


def test_importance_sampling_estimates_it_too(data: list[Episode]) -> None:
    def probability(episode: Episode) -> Array:
        return np.asarray(by_rule(episode.observations[:-1]) == episode.actions, float)

    assert abs(importance_sampling(data, probability, GAMMA) - true()) < 0.1
    own = importance_sampling(data, lambda each: np.exp(each.behaviour["log_probabilities"]), GAMMA, weighted=False)
    assert own == pytest.approx(true_value([each.rewards for each in data], GAMMA))


def test_data_without_probabilities_is_named() -> None:
    bare = Episode("x.hdf5: episode 3", np.zeros((2, 50)), np.zeros(1, np.int64), np.ones(1), True, False)
    with pytest.raises(DamagedError, match="x.hdf5: episode 3: it has no log_probabilities"):
        importance_sampling([bare], lambda each: np.ones(1), GAMMA)
