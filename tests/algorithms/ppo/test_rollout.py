"""Fragments: what is in them is what happened."""

import numpy as np

from surreal.algorithms.distributions import log_softmax
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.networks import Policy, Shape
from surreal.algorithms.normalizers import RunningMoments, Standardizer
from surreal.algorithms.rollouts.rollout import Rollout
from surreal.algorithms.types import Array
from tests.algorithms.ppo.samples import random_vector


def make_rollout(env_id: str, copies: int, steps: int, seed: int = 0) -> tuple[Rollout, Policy, Standardizer]:
    envs = VectorEnvironments(lambda: make_env(env_id), copies, seed)
    shape = Shape(envs.spaces, (8, 8))
    policy = Policy(shape)
    policy.load(random_vector(shape))
    rollout = Rollout(envs, policy, copies, steps, np.random.default_rng(seed))
    return rollout, policy, Standardizer.of(RunningMoments(envs.spaces.observation))


def collect(rollout: Rollout, standardize: Standardizer) -> dict[str, Array]:
    fragment = rollout.collect(standardize, lambda: False)
    assert fragment is not None
    return fragment


def test_a_fragment_begins_where_the_last_one_ended() -> None:
    rollout, _, standardize = make_rollout("HalfCheetah-v5", 2, 5)
    first, second = collect(rollout, standardize), collect(rollout, standardize)
    assert (first["observations"][-1] == second["observations"][0]).all()
    assert first["observations"].shape == (6, 2, 17)
    assert first["actions"].shape == (5, 2, 6)


def test_log_probabilities_are_those_of_the_policy_that_acted() -> None:
    rollout, policy, standardize = make_rollout("CartPole-v1", 2, 20)
    fragment = collect(rollout, standardize)
    log_p = log_softmax(policy.forward(standardize(fragment["observations"][:-1])))
    expected = np.take_along_axis(log_p, fragment["actions"][..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(fragment["log_probs"], expected, atol=1e-6)


def test_episode_returns_run_over_fragments_and_every_step_counts_once() -> None:
    rollout, _, standardize = make_rollout("CartPole-v1", 3, 16)
    episodes, steps = [], 0
    for _ in range(20):
        fragment = collect(rollout, standardize)
        episodes += list(zip(fragment["episode_returns"], fragment["episode_lengths"], strict=True))
        steps += fragment["rewards"].size
    under_way = rollout._returns._length.sum()
    assert all(total == length for total, length in episodes)  # CartPole pays 1 a step
    assert sum(length for _, length in episodes) + under_way == steps


def test_the_same_seed_collects_the_same_fragment_bit_for_bit() -> None:
    fragments = [collect(*make_rollout("Hopper-v5", 2, 30)[::2]) for _ in range(2)]
    assert all((fragments[0][name] == fragments[1][name]).all() for name in fragments[0])


def test_collecting_ends_early_when_the_process_stops() -> None:
    rollout, _, standardize = make_rollout("CartPole-v1", 1, 50)
    assert rollout.collect(standardize, lambda: True) is None


def test_every_fragment_has_arrays_of_its_own() -> None:
    rollout, _, standardize = make_rollout("CartPole-v1", 1, 4)
    first = collect(rollout, standardize)
    kept = {name: array.copy() for name, array in first.items()}
    collect(rollout, standardize)
    assert all((first[name] == kept[name]).all() for name in first)
