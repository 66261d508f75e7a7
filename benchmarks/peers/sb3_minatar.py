"""stable-baselines3's PPO on a MinAtar game with the network and settings of benchmarks/minatar_peers.py.

Run by its own interpreter, which needs minatar. Prints one JSON line: steps per second after the first tenth, the
training return of 1,000 episodes at the end, and after each tenth of the steps.
"""

import argparse
import json

import gymnasium
import numpy as np
import torch
from sb3 import train
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor
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


def main() -> None:
    """Train once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--game", default="Breakout")
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)

    from minatar.gym import register_envs  # type: ignore[import-not-found]

    register_envs()

    def make() -> gymnasium.Env:
        return Planes(gymnasium.make(f"MinAtar/{args.game}-v1", max_episode_steps=5000))

    env = VecMonitor(DummyVecEnv([make] * 16))
    settings = {"n_steps": 128, "batch_size": 512, "n_epochs": 4, "learning_rate": 1e-3, "ent_coef": 0.01}
    settings["stats_window_size"] = 1000
    kwargs = {"features_extractor_class": Small, "net_arch": [], "normalize_images": False}
    model = PPO("CnnPolicy", env, seed=args.seed, device="cpu", policy_kwargs=kwargs, **settings)
    print(json.dumps(train(model, args.steps)))


if __name__ == "__main__":
    main()
