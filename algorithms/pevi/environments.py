"""Finite environment whose state holds the step: `env.id: surreal.algorithms.pevi.environments:Arms`."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Arms(gymnasium.Env[np.int64, np.int64]):
    """Arms at the first step; each leads by its chance to a state that pays 1 at every later step, else to one that
    pays 0. The state is 3 x step + (0 start, 1 good, 2 bad)."""

    def __init__(self, arms: int = 20, best: float = 0.6, others: float = 0.5, horizon: int = 3) -> None:
        """Make arm 0 the best."""
        self.observation_space, self.action_space = spaces.Discrete(3 * (horizon + 1)), spaces.Discrete(arms)
        self._chances = np.array([best, *[others] * (arms - 1)])
        self._horizon, self._step, self._state = horizon, 0, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._step = self._state = 0
        return np.int64(0), {}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Take an arm at the first step; later nothing matters."""
        reward = float(self._state == 1)
        if self._step == 0:
            self._state = 1 if self.np_random.random() < self._chances[int(action)] else 2
        self._step += 1
        return np.int64(3 * self._step + self._state), reward, self._step == self._horizon, False, {}
