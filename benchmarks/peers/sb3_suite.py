"""stable-baselines3's PPO with VecNormalize on any task, for the tables of suite.py; run by its own interpreter.

8 environments of 256 steps, minibatches of 64, 10 epochs, step size annealed; the library's defaults for all else.
Prints one JSON line: the figures of a row, measured as surreal's are.
"""

import argparse
import json
import os
import platform
import time
from importlib.metadata import version

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

EVALUATIONS = 20
SEED = 1_000_003
"""Evaluation episodes start from the same seeds as those of surreal's evaluator."""


class Watch(BaseCallback):
    """Notes the training return after every rollout, and evaluates EVALUATIONS times over the run."""

    def __init__(self, task: str, episodes: int, every: int) -> None:
        super().__init__()
        self.env, self.episodes, self.every = gymnasium.make(task), episodes, every
        self.curve: list[tuple[int, float, float]] = []
        self.evaluations: list[float] = []
        self.began, self.away = time.perf_counter(), 0.0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        returns = [episode["r"] for episode in self.model.ep_info_buffer]
        seconds = time.perf_counter() - self.began - self.away
        if returns:
            self.curve.append((self.num_timesteps, seconds, float(np.mean(returns))))
        if self.num_timesteps >= (len(self.evaluations) + 1) * self.every:
            self.evaluations.append(self.evaluate())

    def evaluate(self) -> float:
        """The mean return of deterministic episodes; its seconds are not counted as training."""
        start, totals = time.perf_counter(), []
        for episode in range(self.episodes):
            observation, _ = self.env.reset(seed=SEED + episode)
            total, over = 0.0, False
            while not over:
                normalized = self.training_env.normalize_obs(observation)
                action, _ = self.model.predict(normalized, deterministic=True)
                observation, reward, terminated, truncated, _ = self.env.step(action)
                total, over = total + float(reward), terminated or truncated
            totals.append(total)
        self.away += time.perf_counter() - start
        return float(np.mean(totals))


def main() -> None:
    """Train once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--env", default="Walker2d-v5")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--episodes", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(1)
    env = VecNormalize(make_vec_env(args.env, n_envs=8, seed=args.seed))
    rate = lambda left: 3e-4 * left  # noqa: E731
    model = PPO("MlpPolicy", env, n_steps=256, batch_size=64, learning_rate=rate, seed=args.seed, device="cpu")
    watch = Watch(args.env, args.episodes, args.steps // EVALUATIONS)
    model.learn(args.steps, callback=watch)
    last = watch.evaluate()
    print(json.dumps(row(args.episodes, model.num_timesteps, watch, last)))


def row(episodes: int, steps: int, watch: Watch, last: float) -> dict[str, object]:
    """Values of a run that `learning.rows.Row` holds."""
    deterministic = f"deterministic, mean of {episodes} episodes"
    packages = ("stable-baselines3", "torch", "numpy", "mujoco", "gymnasium")
    stride = max(1, -(-len(watch.curve) // 100))
    return {
        "steps": steps,
        "seconds": watch.curve[-1][1] if watch.curve else 0.0,
        "figures": {
            "training": watch.curve[-1][2] if watch.curve else None,
            "last": last,
            "best": max([*watch.evaluations, last]),
        },
        "conventions": {
            "training": "exploring, mean of the last 100 episodes",
            "last": f"{deterministic}, last weights",
            "best": f"{deterministic}, best evaluation of the run",
        },
        "curve": watch.curve[::-1][::stride][::-1],
        "versions": {**{name: version(name) for name in packages}, "python": platform.python_version()},
        "machine": f"{os.cpu_count()} cores, {platform.platform()}",
    }


if __name__ == "__main__":
    main()
