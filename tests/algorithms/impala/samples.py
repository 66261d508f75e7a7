"""Fragments as a learner of IMPALA gets them: random ones, and ones that actors really collected."""

from typing import Any

import numpy as np

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.impala.config import IMPALAConfig
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.networks import Layout, Shape
from surreal.algorithms.normalizers import Standardizer, over_leaves, standardized_size
from surreal.algorithms.rollouts.fragment import FragmentCheck
from surreal.algorithms.rollouts.rollout import Rollout
from surreal.algorithms.rollouts.trajectories import Fragment, Trajectories, trajectories
from surreal.algorithms.types import Array

STEPS, COPIES = 12, 4


def impala(**settings: Any) -> IMPALAConfig:
    """The config of IMPALA with these settings, as an experiment file has them."""
    return IMPALAConfig(**{"fragment_steps": STEPS, "device": "cpu", **settings})


def random_unroll(shape: Shape, seed: int = 0) -> Trajectories:
    """An unroll whose importance ratios lie on both sides of 1, with episodes that end in both ways."""
    rng = np.random.default_rng(seed)

    def normal(*size: int) -> Array:
        return rng.standard_normal(size).astype(np.float32)

    lead, discrete, width = (STEPS, COPIES), shape.spaces.discrete, shape.spaces.action
    terminated = rng.random(lead) < 0.2
    truncated = (rng.random(lead) < 0.2) & ~terminated
    return Trajectories(
        observations=normal(STEPS + 1, COPIES, shape.spaces.observation),
        final=normal(int(truncated.sum()), shape.spaces.observation),
        actions=rng.integers(0, width, lead) if discrete else normal(*lead, width),
        log_probs=normal(*lead) * np.float32(0.3) - np.float32(1.1 if discrete else 4.0),
        rewards=normal(*lead),
        terminated=terminated,
        truncated=truncated,
    )


def collected(config: IMPALAConfig, env: dict[str, Any], fragments: int = 2) -> tuple[Layout, Array, list[Any]]:
    """The layout, the parameters that acted, and the arrays of an actor's fragments, one after the other."""
    envs = VectorEnvironments(lambda: make_env(env, "", config.network.view), COPIES, 1)
    layout = make_model(config.network, envs.spaces, config.hidden)
    policy, rng = make_policy(layout), np.random.default_rng(3)
    vector = (layout.initial(rng, -0.5) + 0.2 * rng.standard_normal(layout.size)).astype(np.float32)
    policy.load(vector)
    rollout = Rollout(envs, policy, COPIES, STEPS, rng, config.sequence)
    found = [rollout.collect(_plain(layout), lambda: False) for _ in range(fragments)]
    envs.close()
    check = FragmentCheck(layout.spaces, STEPS, COPIES, (1, layout.state_size))
    assert all(arrays is not None and check.problem(arrays) == "" for arrays in found)
    return layout, vector, found


def learned_from(layout: Layout, arrays: list[dict[str, Array]]) -> Trajectories:
    """Fragments side by side, observations and rewards as they are."""
    return trajectories([Fragment.of(each, layout.spaces) for each in arrays], _plain(layout), None)


def _plain(layout: Layout) -> Any:
    return over_leaves(Standardizer.identity(standardized_size(layout.spaces)), layout.spaces)
