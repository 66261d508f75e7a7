"""stable-baselines3's TD3, DDPG or SAC on HalfCheetah-v5, one step for each update; run by its own interpreter.

`--library sbx` takes its twin in JAX instead. Prints one JSON line: updates per second after the first `--warm` ones,
and the cores that they took.
"""

import argparse
import json
import time
from importlib import import_module

import gymnasium
import torch
from stable_baselines3.common.callbacks import BaseCallback


class Clock(BaseCallback):
    """Notes when the warm-up was over."""

    def __init__(self, warm: int) -> None:
        super().__init__()
        self.warm, self.began, self.before, self.cpu = warm, 0.0, 0, 0.0

    def _on_step(self) -> bool:
        if not self.began and self.model._n_updates >= self.warm:
            self.began, self.before, self.cpu = time.perf_counter(), self.model._n_updates, time.process_time()
        return True


def main() -> None:
    """Train once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", choices=["stable_baselines3", "sbx"], default="stable_baselines3")
    parser.add_argument("--algorithm", choices=["ddpg", "td3", "sac"], default="td3")
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--warm", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = getattr(import_module(args.library), args.algorithm.upper())(
        "MlpPolicy",
        gymnasium.make("HalfCheetah-v5"),
        learning_starts=300,
        batch_size=256,
        train_freq=1,
        gradient_steps=1,
        policy_kwargs={"net_arch": [256, 256]},
        seed=args.seed,
        **({"device": "cpu"} if args.library == "stable_baselines3" else {}),
    )
    clock = Clock(args.warm)
    model.learn(300 + args.warm + args.updates, callback=clock)
    seconds, used = time.perf_counter() - clock.began, time.process_time() - clock.cpu
    rate = (model._n_updates - clock.before) / seconds
    print(json.dumps({"updates_per_second": rate, "cores": used / seconds}))


if __name__ == "__main__":
    main()
