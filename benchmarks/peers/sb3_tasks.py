"""Tasks as the scripts of stable-baselines3 make them, and the policies that suit their observations."""

from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn


class Planes(gymnasium.ObservationWrapper):
    """Flags with the channel first, as numbers."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        height, width, channels = env.observation_space.shape
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (channels, height, width), np.float32)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """Return [channels, height, width]."""
        return observation.transpose(2, 0, 1).astype(np.float32)


class Small(BaseFeaturesExtractor):
    """Convolution 16 of 3x3, dense 128 (Young & Tian 2019)."""

    def __init__(self, space: gymnasium.spaces.Box) -> None:
        super().__init__(space, 128)
        convolved = nn.Sequential(nn.Conv2d(space.shape[0], 16, 3), nn.ReLU(), nn.Flatten())
        with torch.no_grad():
            size = convolved(torch.zeros(1, *space.shape)).shape[1]
        self.layers = nn.Sequential(convolved, nn.Linear(size, 128), nn.ReLU())

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """Return features [n, 128]."""
        return self.layers(planes)


def make(task: str, options: dict[str, Any] | None = None, time_limit: int | None = None) -> gymnasium.Env:
    """Return the environment of a gymnasium id, of MinAtar/GAME-v1, or of robosuite/NAME, which needs surreal."""
    if task.startswith("robosuite/"):
        from surreal.algorithms.environments.suites import make_of, suite_of

        return make_of(suite_of(task), task, options or {})
    if task.startswith("MinAtar/"):
        from minatar.gym import register_envs  # type: ignore[import-not-found]

        register_envs()
        return Planes(gymnasium.make(task, max_episode_steps=time_limit, **(options or {})))
    return gymnasium.make(task, max_episode_steps=time_limit, **(options or {}))


def policy(task: str) -> tuple[str, dict[str, Any]]:
    """Return the policy's name and its arguments: convolutions for images, two networks else."""
    if task.startswith("MinAtar/"):
        return "CnnPolicy", {"features_extractor_class": Small, "net_arch": [], "normalize_images": False}
    return "MlpPolicy", {}
