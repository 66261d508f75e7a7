"""PPO of stable-baselines3, or of its JAX twin sbx, with the settings of the comparison; run by its own interpreter.

Prints one JSON line: steps per second after the first tenth, and the training return at the end.
"""

import argparse
import importlib
import json
import time
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize


class Clock(BaseCallback):
    """Notes when the first tenth was over, and the training return after each tenth."""

    def __init__(self, warm: int) -> None:
        super().__init__()
        self.warm, self.began, self.first = warm, 0.0, 0
        self.curve: list[tuple[int, float]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if not self.began and self.num_timesteps >= self.warm:
            self.began, self.first = time.perf_counter(), self.num_timesteps
        if self.num_timesteps >= self.warm * (len(self.curve) + 1):
            self.curve.append((self.num_timesteps, training_return(self.model)))


def training_return(model: Any) -> float:
    """Return the mean of the last `stats_window_size` episodes, NaN before the first."""
    returns = [episode["r"] for episode in model.ep_info_buffer]
    return float(sum(returns) / len(returns)) if returns else float("nan")


def train(model: Any, steps: int) -> dict[str, Any]:
    """Train once; return the rate after the first tenth, the seconds of all, and the training return with its curve."""
    clock, start = Clock(steps // 10), time.perf_counter()
    model.learn(steps, callback=clock)
    end = time.perf_counter()
    return {
        "steps_per_second": (model.num_timesteps - clock.first) / (end - clock.began),
        "seconds": end - start,
        "steps": model.num_timesteps,
        "episode_return": training_return(model),
        "curve": clock.curve,
    }


def main() -> None:
    """Train once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", choices=("stable_baselines3", "sbx"), default="stable_baselines3")
    parser.add_argument("--env", default="HalfCheetah-v5")
    parser.add_argument("--steps", type=int, default=61_440)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    env = VecNormalize(make_vec_env(args.env, n_envs=8, seed=args.seed))
    settings = {"n_steps": 256, "batch_size": 64, "n_epochs": 10, "learning_rate": 3e-4, "device": "cpu"}
    model = importlib.import_module(args.library).PPO("MlpPolicy", env, seed=args.seed, **settings)
    print(json.dumps(train(model, args.steps)))


if __name__ == "__main__":
    main()
