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
from stable_baselines3.common.env_util import make_vec_env


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
    steps = []
    began = time.perf_counter()
    model.learn(64_000, async_eval=pool)
    warm = time.perf_counter()
    steps.append(model.num_timesteps)
    model.learn(args.steps, async_eval=pool, reset_num_timesteps=False)
    pool.close()
    rate = (model.num_timesteps - steps[0]) / (time.perf_counter() - warm)
    print(json.dumps({"steps_per_second": rate, "seconds": time.perf_counter() - began, "steps": model.num_timesteps}))


if __name__ == "__main__":
    main()
