"""Evaluation of a policy from Python: whole episodes on one environment, without noise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.types import Array
from surreal.protocol.errors import InvalidInput

EPISODE_CAP = 10_000
"""Steps after which an episode of an endless environment ends."""


@dataclass(frozen=True)
class Evaluation:
    """Returns of whole episodes."""

    returns: tuple[float, ...]
    """Sum of rewards of each episode."""
    lengths: tuple[int, ...]
    """Steps of each episode."""

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(np.mean(self.returns))

    @property
    def std(self) -> float:
        """Standard deviation of the returns, of the population."""
        return float(np.std(self.returns))

    def __str__(self) -> str:
        return f"{self.mean:.1f} ± {self.std:.1f} over {len(self.returns)} episodes"


def evaluate(
    policy: Callable[[Array], Array],
    env: str,
    *,
    episodes: int = 10,
    seed: int = 1,
    options: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Run `episodes` whole episodes and return their returns; episode i starts from `seed` + i.

    `policy` maps observations [n, observation] float32 to actions [n, ...]: `run.policy("best")`, or any function.
    Raises Fatal for an environment that cannot be made, and InvalidInput for actions of another shape.
    """
    if episodes < 1:
        raise InvalidInput(f"episodes: {episodes!r} must be 1 or more.")
    made = make_env(env, dict(options or {}))
    try:
        played = [_episode(made, policy, seed + episode) for episode in range(episodes)]
    finally:
        made.close()
    return Evaluation(tuple(total for total, _ in played), tuple(steps for _, steps in played))


def _episode(env: Environment, policy: Callable[[Array], Array], seed: int) -> tuple[float, int]:
    rows = env.reset(seed=seed)[None].copy()
    total, steps, over = 0.0, 0, False
    while not over and steps < EPISODE_CAP:
        action = _action(policy(rows.copy()), env.spaces.action_space)
        reward, terminated, truncated = env.step(action, rows, 0)
        total, steps, over = total + float(reward), steps + 1, terminated or truncated
    return total, steps


def _action(actions: Any, space: Any) -> Any:
    """Return the one action, inside the bounds of the space."""
    found = np.asarray(actions)
    if found.shape != (1, *space.shape):
        raise InvalidInput(f"policy: actions of shape {list(found.shape)}, expected [1, ...] of {space}.")
    if hasattr(space, "low"):
        return np.clip(found[0], space.low, space.high).astype(space.dtype)
    return found[0]
