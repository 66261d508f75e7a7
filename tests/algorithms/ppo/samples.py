"""Random minibatches and networks for tests."""

from typing import Any

import numpy as np
import torch

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.networks import Layout, Shape
from surreal.algorithms.ppo.batch import Minibatch
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients.base import Rates
from surreal.algorithms.rollouts.trajectories import Fragment
from surreal.algorithms.types import Array

RATES = Rates(1e-3, 2e-3)
"""Step sizes of policy and values."""


def random_shape(discrete: bool) -> Shape:
    """A small pair of networks: 5 observations, 3 actions, hidden 8 and 7."""
    return Shape(Spaces.flat(5, 3, discrete), (8, 7))


def random_vector(shape: Shape, seed: int = 0) -> Array:
    """Parameters that are not special anywhere (no zero biases)."""
    rng = np.random.default_rng(seed)
    return (shape.initial(rng, -0.3) + 0.1 * rng.standard_normal(shape.size)).astype(np.float32)


def as_fragment(arrays: dict[str, Array]) -> Fragment:
    """The arrays of a message about vectors of features, as a learner reads them."""
    return Fragment(arrays, arrays["observations"], arrays["final"])


def random_fragment(seed: int, steps: int = 16, copies: int = 4, discrete: bool = False) -> dict[str, Array]:
    """The arrays of a message of an actor, with episodes that end in both ways."""
    rng = np.random.default_rng(seed)
    truncated = rng.random((steps, copies)) < 0.1
    actions = rng.integers(0, 3, (steps, copies)) if discrete else rng.normal(size=(steps, copies, 3))
    return {
        "observations": rng.normal(size=(steps + 1, copies, 5)).astype(np.float32),
        "actions": actions if discrete else actions.astype(np.float32),
        "log_probs": (rng.normal(size=(steps, copies)) * 0.1 - 4).astype(np.float32),
        "rewards": rng.normal(size=(steps, copies)).astype(np.float32),
        "terminated": (rng.random((steps, copies)) < 0.1) & ~truncated,
        "truncated": truncated,
        "final": rng.normal(size=(int(truncated.sum()), 5)).astype(np.float32),
    }


def random_minibatch(shape: Layout, n: int = 13, seed: int = 0, reference: bool = False) -> Minibatch:
    """Transitions whose ratios lie on both sides of the clip range."""
    rng = np.random.default_rng(seed)

    def normal(*size: int) -> Array:
        return rng.standard_normal(size).astype(np.float32)

    discrete, action = shape.spaces.discrete, shape.spaces.action
    width = action if discrete else 2 * action
    returns = normal(n)
    return Minibatch(
        observations=normal(n, shape.spaces.observation),
        actions=rng.integers(0, action, n) if discrete else normal(n, action),
        log_probs=normal(n) * 0.3 - (1.1 if discrete else 4.0),
        advantages=normal(n),
        returns=returns,
        values=returns + normal(n),
        reference=normal(n, width) * 0.5 if reference else None,
    )


def ppo(**settings: Any) -> PPOConfig:
    """The config of PPO with these settings, as an experiment file has them."""
    return PPOConfig(**settings)


def as_tensors(minibatch: Minibatch) -> Minibatch:
    """The same transitions where torch computes."""
    return Minibatch._make(torch.from_numpy(part) if isinstance(part, np.ndarray) else part for part in minibatch)
