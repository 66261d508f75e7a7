"""stable-baselines3's TD3, DDPG or SAC on HalfCheetah-v5, one step for each update; run by its own interpreter.

Prints one JSON line: updates per second after the first `--warm` ones.
"""

import argparse
import json
import time

import gymnasium
import torch
from stable_baselines3 import DDPG, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback

CLASSES = {"ddpg": DDPG, "td3": TD3, "sac": SAC}


class Clock(BaseCallback):
    """Notes when the warm-up was over."""

    def __init__(self, warm: int) -> None:
        super().__init__()
        self.warm, self.began, self.before = warm, 0.0, 0

    def _on_step(self) -> bool:
        if not self.began and self.model._n_updates >= self.warm:
            self.began, self.before = time.perf_counter(), self.model._n_updates
        return True


def main() -> None:
    """Train once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--algorithm", choices=CLASSES, default="td3")
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--warm", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = CLASSES[args.algorithm](
        "MlpPolicy",
        gymnasium.make("HalfCheetah-v5"),
        learning_starts=300,
        batch_size=256,
        train_freq=1,
        gradient_steps=1,
        policy_kwargs={"net_arch": [256, 256]},
        seed=args.seed,
        device="cpu",
    )
    clock = Clock(args.warm)
    model.learn(300 + args.warm + args.updates, callback=clock)
    rate = (model._n_updates - clock.before) / (time.perf_counter() - clock.began)
    print(json.dumps({"updates_per_second": rate}))


if __name__ == "__main__":
    main()
