"""Distributions of actions: standard deviations from the network, squashing, and their way through PPO."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from surreal.algorithms.environments.actions import action_map
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.models import distributions as torch_distributions
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.models.config import NetworkConfig
from surreal.algorithms.networks import LOG_STD_RANGE, Policy
from surreal.algorithms.normalizers import Standardizer, over_leaves
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients.autograd import Autograd
from surreal.algorithms.ppo.update import Updater
from surreal.algorithms.rollouts.rollout import Rollout
from surreal.algorithms.rollouts.trajectories import Fragment, trajectories
from surreal.algorithms.types import Array
from tests.algorithms.models.samples import NUMBERS, model, vector
from tests.algorithms.ppo.samples import ppo

ARM = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 10.0], np.float32))


def test_a_standard_deviation_may_be_an_output_of_the_network() -> None:
    layout = model(NUMBERS, ARM, std="state")
    assert layout.outputs == 4 and "log_std" not in layout.parts
    policy, rng = make_policy(layout), np.random.default_rng(0)
    policy.load(vector(layout))
    outs = np.tile(np.array([0.5, -1.0, np.log(0.1), np.log(2.0)], np.float32), (40_000, 1))
    actions = policy.act(outs, policy.noise(rng, outs.shape))
    np.testing.assert_allclose(actions.mean(axis=0), [0.5, -1.0], atol=0.05)
    np.testing.assert_allclose(actions.std(axis=0), [0.1, 2.0], rtol=0.02)
    normal = torch.distributions.Normal(torch.tensor([0.5, -1.0]), torch.tensor([0.1, 2.0]))
    theirs = normal.log_prob(torch.from_numpy(actions)).sum(-1).numpy()
    np.testing.assert_allclose(policy.log_prob(outs, actions), theirs, rtol=1e-4, atol=1e-4)
    assert (policy.best(outs) == outs[:, :2]).all()
    wild = np.array([[0.0, 0.0, 50.0, -50.0]], np.float32)
    np.testing.assert_allclose(policy.act(wild, np.ones((1, 2), np.float32))[0], np.exp(LOG_STD_RANGE[::-1]), rtol=1e-5)


def test_squashed_actions_reach_the_bounds_and_never_leave_them() -> None:
    found = Spaces(NUMBERS, ARM)
    config = ppo(network={"squash": True})
    policy = make_policy(make_model(config.network, found, config.hidden))
    to_env, bounded = action_map(ARM), policy.bounded(found.onto_bounds)
    extreme = np.array([[-30.0, -30.0], [0.0, 0.0], [30.0, 30.0], [0.5, 0.5]], np.float32)
    np.testing.assert_allclose(bounded(extreme)[:3], [[-2, 0], [0, 5], [2, 10]], atol=1e-5)
    np.testing.assert_allclose(to_env(bounded(extreme))[3], [2 * np.tanh(0.5), 5 + 5 * np.tanh(0.5)], rtol=1e-5)
    plain = make_policy(make_model(PPOConfig().network, found, config.hidden))
    assert (plain.bounded(found.onto_bounds)(extreme)[3] == [1.0, 7.5]).all()


@pytest.mark.parametrize(
    "network",
    [
        {"std": "state"},
        {"std": "state", "squash": True, "memory": {"size": 5}},
        {"squash": True},
        {"std": "gsde"},
        {"std": "gsde", "gsde_steps": 3, "memory": {"size": 5}},
    ],
)
@pytest.mark.parametrize("changes", [{}, {"objective": "adaptive-kl", "target_kl": 0.01}])
def test_the_learner_finds_the_probabilities_and_learns(network: dict[str, Any], changes: dict[str, Any]) -> None:
    settings = ppo(network=network, fragment_steps=16, minibatch=16, epochs=2, device="cpu", **changes)
    envs = VectorEnvironments(lambda: make_env({"id": "Pendulum-v1"}), 2, 1)
    layout = make_model(settings.network, envs.spaces, settings.hidden)
    policy, start = make_policy(layout), vector(layout)
    policy.load(start)
    standardize = over_leaves(Standardizer.identity(3), envs.spaces)
    arrays = Rollout(envs, policy, 2, 16, np.random.default_rng(0)).collect(standardize, lambda: False)
    envs.close()
    assert arrays is not None
    data = trajectories([Fragment.of(arrays, layout.spaces)], standardize, None)
    gradient = Autograd(layout, settings, start)
    batch = gradient.batch(data)
    batch.estimate(arrays["rewards"], arrays["rewards"])
    for minibatch in batch.shuffled(np.random.default_rng(0), 16):
        with torch.no_grad():
            out, _ = gradient._network.outputs(minibatch.observations, minibatch.memories)
            mean, log_std = gradient._distribution(out)
            assert log_std is not None
            log_probs, entropies = torch_distributions.gaussian(mean, log_std, minibatch.actions)
        np.testing.assert_allclose(log_probs.numpy(), minibatch.log_probs.numpy(), atol=2e-5)
        assert entropies.shape == log_probs.shape
    updater = Updater(layout, settings, 1)
    before = updater.gradient.parameters()
    metrics = updater.update(data, 0.0)
    assert np.isfinite(list(metrics.values())).all() and updater.skipped == 0
    assert (updater.gradient.parameters() != before).mean() > 0.9


def gsde(**network: Any) -> Policy:
    layout = make_model(NetworkConfig(std="gsde", policy=[6], **network), Spaces(NUMBERS, ARM), [8])
    policy = make_policy(layout)
    policy.load(vector(layout))
    return policy


def explored(policy: Policy, rows: Array, noise: Any) -> Array:
    """What the noise adds to the mean actions at some observations."""
    out, _ = policy.advance(rows, policy.initial_state(len(rows)))
    return policy.act(out, noise) - policy.best(out)


def test_noise_of_gsde_is_a_function_of_the_state_that_stays_for_a_while() -> None:
    policy = gsde(gsde_steps=3)
    here, there = np.random.default_rng(0).normal(size=(2, 4, 5)).astype(np.float32)
    noise = policy.noise(np.random.default_rng(1), (7, 4, policy.outputs))
    first = explored(policy, here, noise[0])
    assert (explored(policy, here, noise[2]) == first).all()
    assert (explored(policy, there, noise[2]) != first).all()
    assert (explored(policy, here, noise[3]) != first).all()
    assert len(noise) == 7 and not np.allclose(first[0], first[1])
    whole = gsde().noise(np.random.default_rng(1), (7, 4, policy.outputs))
    assert all((each == whole[0]).all() for each in whole)


def test_noise_of_gsde_has_the_deviation_that_its_probabilities_say() -> None:
    policy = gsde()
    rows = np.repeat(np.random.default_rng(0).normal(size=(1, 5)).astype(np.float32), 50_000, axis=0)
    out, _ = policy.advance(rows, policy.initial_state(len(rows)))
    actions = policy.act(out, policy.noise(np.random.default_rng(1), out.shape))
    np.testing.assert_allclose(actions.std(axis=0), np.exp(out[0, 2:]), rtol=0.02)
    np.testing.assert_allclose(actions.mean(axis=0), out[0, :2], atol=0.02)


ACTING = """
import sys
import numpy as np
from gymnasium import spaces
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.ppo import actor
from surreal.algorithms.ppo.config import PPOConfig

config = PPOConfig(network={"memory": {"size": 32}})
found = Spaces(spaces.Box(0, 255, (4, 84, 84), np.uint8), spaces.Discrete(6)).seen_as(config.network.view)
layout = make_model(config.network, found, config.hidden)
policy = make_policy(layout)
policy.load(layout.initial(np.random.default_rng(0), 0.0))
policy.advance(np.zeros((8, 4, 84, 84), np.uint8), policy.initial_state(8))
# ru_maxrss would count the process that forked this one
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("torch" in sys.modules, int(peak.split()[1]) // 1024)
"""


def test_an_actor_on_images_imports_no_torch_and_stays_small() -> None:
    done = subprocess.run([sys.executable, "-c", ACTING], capture_output=True, text=True, check=True)
    imported, megabytes = done.stdout.split()
    assert imported == "False" and int(megabytes) < 350
