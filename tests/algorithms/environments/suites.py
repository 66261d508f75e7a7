"""Stepping of an environment of a suite by random actions, for the tests of suites."""

from typing import Any

import numpy as np

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.rows import mapped
from surreal.algorithms.types import Array


def play(env: Environment, steps: int, seed: int = 3) -> tuple[list[Any], Array, list[tuple[bool, bool]]]:
    """Observations, rewards and ends of `steps` random actions, with resets where episodes end."""
    rng, rows = np.random.default_rng(seed), mapped(lambda array: np.array(array[None]), env.reset(seed))
    seen, rewards, ends = [mapped(np.array, rows)], [], []
    for _ in range(steps):
        outputs = (
            rng.integers(0, env.spaces.action, 1)
            if env.spaces.discrete
            else rng.uniform(-1, 1, (1, env.spaces.action)).astype(np.float32)
        )
        reward, terminated, truncated = env.step(env.actions(outputs)[0], rows, 0)
        seen.append(mapped(np.array, rows))
        rewards.append(reward)
        ends.append((bool(terminated), bool(truncated)))
        if terminated or truncated:
            rows = mapped(lambda array: np.array(array[None]), env.reset())
    return seen, np.array(rewards), ends
