"""stable-baselines3's TD3 or SAC on HalfCheetah-v5: returns over steps; run by its own interpreter.

The settings are those of examples/cheetah-td3.yaml and cheetah-sac.yaml: 256x256, batches of 256, 10,000 random steps,
one update for each step. Appends one JSON line for each evaluation to `--output`.
"""

import argparse
import json
import time
from pathlib import Path

import gymnasium
import numpy as np
import torch
from stable_baselines3 import SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.noise import NormalActionNoise

SEED = 1_000_003
"""Evaluation episodes start from the same seeds as those of surreal's evaluator."""


class Watch(BaseCallback):
    """Evaluates every so many steps, and writes a line each time."""

    def __init__(self, every: int, episodes: int, output: Path) -> None:
        super().__init__()
        self.env, self.every, self.episodes, self.output = gymnasium.make("HalfCheetah-v5"), every, episodes, output
        self.began, self.away = time.process_time(), 0.0

    def _on_step(self) -> bool:
        if self.num_timesteps % self.every == 0:
            self.write()
        return True

    def write(self) -> None:
        """Evaluate now; its seconds are not counted as training."""
        start = time.process_time()
        training = [episode["r"] for episode in list(self.model.ep_info_buffer)[-20:]]
        row = {
            "steps": self.num_timesteps,
            "cpu_seconds": start - self.began - self.away,
            "training": float(np.mean(training)) if training else None,
            "evaluation": float(np.mean([self.episode(number) for number in range(self.episodes)])),
        }
        with self.output.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.away += time.process_time() - start

    def episode(self, number: int) -> float:
        """Return what a deterministic episode brings."""
        observation, _ = self.env.reset(seed=SEED + number)
        total, over = 0.0, False
        while not over:
            action, _ = self.model.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = self.env.step(action)
            total, over = total + float(reward), terminated or truncated
        return total


def main() -> None:
    """Train once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--algorithm", choices=["td3", "sac"], default="td3")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--every", type=int, default=5_000)
    parser.add_argument("--episodes", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    env = Monitor(gymnasium.make("HalfCheetah-v5"))
    noise = NormalActionNoise(np.zeros(6), np.full(6, 0.1))
    more = {"learning_rate": 1e-3, "action_noise": noise} if args.algorithm == "td3" else {"learning_rate": 3e-4}
    model = {"td3": TD3, "sac": SAC}[args.algorithm](
        "MlpPolicy",
        env,
        learning_starts=10_000,
        batch_size=256,
        train_freq=1,
        gradient_steps=1,
        policy_kwargs={"net_arch": [256, 256]},
        seed=args.seed,
        device="cpu",
        **more,
    )
    model.learn(args.steps, callback=Watch(args.every, args.episodes, args.output))


if __name__ == "__main__":
    main()
