"""Exploration: each actor's own amount, the right statistics, and what an episode's end means for it."""

from contextlib import closing
from itertools import pairwise
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.offpolicy.actor import Actor
from surreal.algorithms.offpolicy.config import DDPGConfig, DQNConfig, OffPolicyConfig, SACConfig
from surreal.algorithms.offpolicy.exploration import (
    ActionNoise,
    EpsilonGreedy,
    ParameterNoise,
    Place,
    RandomActions,
    Sampling,
    make_exploration,
)
from surreal.algorithms.offpolicy.method import Method
from surreal.algorithms.offpolicy.policy import ActingPolicy
from surreal.protocol.wire.limits import NotFiniteError
from surreal.protocol.worker.process import Process
from tests.algorithms.offpolicy.cases import BOX, CHOICES

COPIES = 50


def made(config: OffPolicyConfig, index: int = 0, actors: int = 1, scale: float = 1.0) -> Any:
    name = "dqn" if isinstance(config, DQNConfig) else "sac" if isinstance(config, SACConfig) else "ddpg"
    shape = Method(name, config).shape(CHOICES if isinstance(config, DQNConfig) else BOX)
    policy, rng = ActingPolicy(shape), np.random.default_rng(1)
    policy.load(shape.acting.initial(rng) * np.float32(scale))
    return make_exploration(config, policy, COPIES, rng, Place(index, actors))


def actions(explore: Any, steps: int = 40) -> Any:
    """Return what is done in one observation, [steps, copies, ...]."""
    seen = np.ones((COPIES, 5), dtype=np.float32)
    explore.begin(steps)
    return np.stack([explore.act(seen, step).copy() for step in range(steps)])


def test_the_noise_is_a_ladder_over_the_actors_whose_mean_is_the_noise() -> None:
    sigmas = [float(made(DDPGConfig(noise=0.2), index, 5).sigma) for index in range(5)]
    assert sigmas == pytest.approx([0.1, 0.15, 0.2, 0.25, 0.3])
    assert float(made(DDPGConfig(noise=0.2)).sigma) == pytest.approx(0.2)


def test_the_share_of_random_choices_falls_steeply_over_the_actors() -> None:
    epsilons = [made(DQNConfig(), index, 8).epsilon for index in range(8)]
    assert epsilons[0] == 0.4
    assert epsilons[-1] == pytest.approx(0.4**8)
    assert all(later < earlier for earlier, later in pairwise(epsilons))


def test_white_noise_has_its_deviation_and_stays_within_the_bounds() -> None:
    found = actions(made(DDPGConfig(noise=0.1), scale=0.0))
    assert found.std() == pytest.approx(0.1, rel=0.05)
    wide = actions(made(DDPGConfig(noise=2.0)))
    assert (wide.min(), wide.max()) == (-1.0, 1.0)


def test_ou_noise_is_correlated_and_begins_anew_where_an_episode_ended() -> None:
    explore = made(DDPGConfig(exploration="ou", noise=0.05, ou_theta=0.15), scale=0.0)
    found = actions(explore, steps=400)[100:]
    flat = found.reshape(len(found), -1)
    correlation = np.mean(flat[1:] * flat[:-1]) / np.mean(flat**2)
    assert correlation == pytest.approx(0.85, abs=0.03)
    assert flat.std() == pytest.approx(0.05 / (1 - 0.85**2) ** 0.5, rel=0.1)
    ended = np.arange(COPIES) < 10
    explore.ended(ended)
    assert not explore._state[:10].any()
    assert explore._state[10:].all()


@pytest.mark.parametrize("exploration", ["ou", "parameters"])
def test_noise_begins_anew_where_a_refused_fragment_had_all_episodes_begin_anew(exploration: Any) -> None:
    explore = made(DDPGConfig(exploration=exploration, noise=0.2))
    actions(explore, steps=20)
    explore.act(np.full((COPIES, 5), np.nan, dtype=np.float32), 0)  # an environment that is broken now and then
    scale = getattr(explore, "scale", None)
    explore.restarted()
    if exploration == "ou":
        assert not explore._state.any()
        return
    assert explore._direction is None
    explore.begin(1)
    assert explore.scale == scale, "a fragment that nobody learns from adapts nothing"


def test_an_actor_tells_its_exploration_that_all_episodes_began_anew() -> None:
    config = DDPGConfig(exploration="ou", noise=0.2, ou_theta=0.15, fragment_steps=8)
    wiring = SimpleNamespace(env={"id": "Pendulum-v1", "copies": 2}, index=0, replicas={"actor": 1}, seed=1, start=1)
    process = SimpleNamespace(wiring=wiring, stopping=Event(), session=None, subscriber=str, sender=str)
    envs = VectorEnvironments(lambda: make_env("Pendulum-v1"), 2, 1)
    with closing(envs):
        actor = Actor(cast(Process, process), Method("ddpg", config), envs, np.random.default_rng(1))
        rollout, explore = actor._rollout, cast(ActionNoise, actor._explore)
        assert rollout.collect(explore, Standardizer.identity(3), lambda: False)
        assert explore._state.any()
        actor._sending._refusals.refuse(NotFiniteError("array 'rewards' is not finite"))
        assert not explore._state.any()


def test_parameter_noise_adapts_until_actions_differ_by_the_noise() -> None:
    explore = made(DDPGConfig(exploration="parameters", noise=0.2))
    assert isinstance(explore, ParameterNoise)
    rng, gaps = np.random.default_rng(0), []
    for fragment in range(300):
        seen = rng.standard_normal((COPIES, 5), dtype=np.float32)
        explore.begin(1)
        gap = explore.act(seen, 0) - explore.policy.best(explore.policy.forward(seen))
        gaps.append(float(np.sqrt(np.mean(gap**2))))
        if fragment % 4 == 3:
            explore.ended(np.ones(COPIES, dtype=bool))
    assert np.mean(gaps[100:]) == pytest.approx(0.2, rel=0.25)


def test_parameter_noise_lasts_until_an_episode_has_ended() -> None:
    explore = made(DDPGConfig(exploration="parameters", noise=0.2))
    one, again = actions(explore, 2), actions(explore, 2)
    assert (one[0] == one[1]).all()
    explore.scale = 0.1
    assert np.sign(one[0, 0]).tolist() == np.sign(again[0, 0]).tolist()
    explore.ended(np.array([True] + [False] * (COPIES - 1)))
    direction = actions(explore, 1)
    assert np.abs(direction[0] - again[0]).max() > 1e-3


def test_epsilon_is_the_share_of_choices_that_are_random() -> None:
    explore = made(DQNConfig(epsilon=0.4), 0, 2)
    assert isinstance(explore, EpsilonGreedy)
    found = actions(explore, 200)
    best = explore.policy.best(explore.policy.forward(np.ones((1, 5), np.float32)))[0]
    assert np.mean(found != best) == pytest.approx(0.4 * 3 / 4, abs=0.02)


def test_sac_draws_from_its_policy_whose_best_action_is_the_middle() -> None:
    explore = made(SACConfig(hidden=[16]))
    assert isinstance(explore, Sampling)
    found = actions(explore, 400)
    outputs = explore.policy.forward(np.ones((1, 5), np.float32))
    mean, std = outputs[0, :3], np.exp(outputs[0, 3:])
    before = np.arctanh(np.clip(found, -0.999999, 0.999999))
    assert before.mean(axis=(0, 1)) == pytest.approx(mean, abs=0.03)
    assert before.std(axis=(0, 1)) == pytest.approx(std, rel=0.03)
    assert explore.policy.best(outputs)[0] == pytest.approx(np.tanh(mean))


def test_discrete_sac_draws_choices_with_their_probabilities() -> None:
    config = SACConfig(hidden=[16])
    policy = ActingPolicy(Method("sac", config).shape(CHOICES))
    policy.load(policy.shape.acting.initial(np.random.default_rng(1)) * np.float32(3))
    explore = Sampling(policy, COPIES, np.random.default_rng(1))
    found = actions(explore, 400)
    logits = policy.forward(np.ones((1, 5), np.float32))[0]
    expected = np.exp(logits) / np.exp(logits).sum()
    assert np.bincount(found.ravel(), minlength=4) / found.size == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("spaces", [BOX, CHOICES])
def test_before_the_first_update_actions_are_uniform(spaces: Any) -> None:
    policy = ActingPolicy(Method("sac", SACConfig()).shape(spaces))
    explore = RandomActions(policy, COPIES, np.random.default_rng(1))
    found = actions(explore, 200)
    if spaces is CHOICES:
        assert np.bincount(found.ravel()) / found.size == pytest.approx([0.25] * 4, abs=0.02)
    else:
        assert (found.mean(), found.std()) == pytest.approx((0, 1 / 3**0.5), abs=0.02)


def test_noise_of_zero_leaves_the_policy_alone() -> None:
    for exploration in ("gaussian", "ou", "parameters"):
        explore = made(DDPGConfig(exploration=exploration, noise=0.0))
        found = actions(explore, 3)
        best = explore.policy.best(explore.policy.forward(np.ones((1, 5), np.float32)))[0]
        assert found == pytest.approx(np.broadcast_to(best, found.shape), abs=1e-6)
    assert isinstance(made(DDPGConfig(noise=0.0)), ActionNoise)
