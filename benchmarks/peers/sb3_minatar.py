"""stable-baselines3's PPO on a MinAtar game with the network and settings of benchmarks/beside/minatar.py.

Run by its own interpreter, which needs minatar. Prints one JSON line: steps per second after the first tenth, the
training return of 1,000 episodes at the end, and after each tenth of the steps.
"""

import argparse
import json
from functools import partial

import torch
from sb3 import train
from sb3_tasks import make, policy
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor


def main() -> None:
    """Train once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--game", default="Breakout")
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)

    task = f"MinAtar/{args.game}-v1"
    env = VecMonitor(DummyVecEnv([partial(make, task, time_limit=5000)] * 16))
    settings = {"n_steps": 128, "batch_size": 512, "n_epochs": 4, "learning_rate": 1e-3, "ent_coef": 0.01}
    settings["stats_window_size"] = 1000
    kind, kwargs = policy(task)
    model = PPO(kind, env, seed=args.seed, device="cpu", policy_kwargs=kwargs, **settings)
    print(json.dumps(train(model, args.steps)))


if __name__ == "__main__":
    main()
