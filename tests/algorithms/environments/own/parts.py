"""Environments with observations of several parts, images, stacks, actions of several parts, and masks."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Robot(gymnasium.Env[Any, Any]):
    """A camera, joints and a gripper that is open or shut; episodes of 5 steps."""

    observation_space = spaces.Dict(
        {
            "camera": spaces.Box(0, 255, (4, 6, 3), np.uint8),
            "robot": spaces.Dict({"joints": spaces.Box(-1, 1, (2,), np.float64), "gripper": spaces.Discrete(2)}),
            "pair": spaces.Tuple((spaces.Box(-1, 1, (1,), np.float32), spaces.MultiBinary(3))),
        }
    )
    action_space: Any = spaces.MultiDiscrete([3, 2], start=[1, 0])

    def __init__(self) -> None:
        self.taken: list[Any] = []

    def _observe(self) -> Any:
        return {
            "camera": np.full((4, 6, 3), self.steps, np.uint8),
            "robot": {"joints": np.array([0.5, -0.25]) * self.steps, "gripper": self.steps % 2},
            "pair": (np.full(1, -self.steps, np.float32), np.array([1, 0, 1], np.int8)),
        }

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self._observe(), {}

    def step(self, action: Any) -> Any:
        self.taken.append(action)
        self.steps += 1
        return self._observe(), 1.0, False, self.steps == 5, {}


class Film(gymnasium.Env[Any, Any]):
    """Frames whose pixels say episode and step; episodes end after 3, 4, 5, ... steps, every second one cut."""

    observation_space = spaces.Box(0, 255, (5, 4), np.uint8)
    action_space = spaces.Discrete(2)

    def __init__(self, start: int = 0) -> None:
        self.episode = start

    def _frame(self) -> Any:
        return np.full((5, 4), 20 * self.episode % 240 + self.steps, np.uint8)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.episode, self.steps = self.episode + 1, 0
        return self._frame(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        over = self.steps == 2 + self.episode
        return self._frame(), 0.0, over and self.episode % 2 == 0, over and self.episode % 2 == 1, {}


class Shop(gymnasium.Env[Any, Any]):
    """One choice in two parts, of which a mask allows some; a forbidden one costs a hundred."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space: Any = spaces.MultiDiscrete([3, 2])

    def __init__(self, mask: Any = "by step", when: int = 0) -> None:
        self.given, self.when = mask, when

    def _info(self) -> dict[str, Any]:
        self.allowed = [np.roll([1, 0, 1], self.steps), np.roll([0, 1], self.steps)]
        if isinstance(self.given, str) and self.given == "by step" or self.steps < self.when:
            return {"action_mask": tuple(np.array(part, np.int8) for part in self.allowed)}
        return {} if self.given is None else {"action_mask": self.given}

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(2, np.float32), self._info()

    def step(self, action: Any) -> Any:
        legal = all(part[choice] for part, choice in zip(self.allowed, action, strict=True))
        self.steps += 1
        return np.zeros(2, np.float32), 1.0 if legal else -100.0, self.steps == 7, False, self._info()
