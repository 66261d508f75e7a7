"""sb3-contrib's ARS on HalfCheetah with the settings of the comparison; run by its own interpreter.

Prints one JSON line: environment steps per second after the first generation.
"""

import argparse
import json
import time

import gymnasium
import torch
from sb3_contrib import ARS
from sb3_contrib.common.vec_env import AsyncEval
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env


class Clock(BaseCallback):
    """Notes steps and time whenever a generation is over."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: list[tuple[int, float]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.marks.append((self.num_timesteps, time.perf_counter()))


def main() -> None:
    """Train once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=128_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = ARS(
        "MlpPolicy",
        make_vec_env("HalfCheetah-v5", n_envs=1, seed=args.seed),
        n_delta=32,
        n_top=32,
        delta_std=0.05,
        learning_rate=0.02,
        policy_kwargs={"net_arch": [64, 64]},
        seed=args.seed,
        device="cpu",
    )
    pool = AsyncEval([lambda: gymnasium.make("HalfCheetah-v5")] * 2, model.policy)
    clock, began = Clock(), time.perf_counter()
    model.learn(64_000 + args.steps, async_eval=pool, callback=clock)
    (first, warm), (last, end) = clock.marks[0], clock.marks[-1]
    print(json.dumps({"steps_per_second": (last - first) / (end - warm), "seconds": end - began, "steps": last}))


if __name__ == "__main__":
    main()
