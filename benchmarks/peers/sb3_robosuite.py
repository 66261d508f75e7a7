"""stable-baselines3's PPO on robosuite's Lift from states, with the settings of benchmarks/beside/robosuite.py.

Run by its own interpreter, which needs robosuite and surreal. Prints one JSON line: steps per second after the first
tenth, the training return at the end, and after each tenth of the steps.
"""

import argparse
import json
from functools import partial

import torch
from sb3 import train
from sb3_tasks import make
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

OPTIONS = {"horizon": 200, "control_freq": 20}


def main() -> None:
    """Train once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=150_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)

    env = VecNormalize(VecMonitor(DummyVecEnv([partial(make, "robosuite/Lift", OPTIONS)] * 4)))
    settings = {"n_steps": 200, "batch_size": 64, "n_epochs": 10, "learning_rate": 3e-4}
    model = PPO("MlpPolicy", env, seed=args.seed, device="cpu", policy_kwargs={"log_std_init": -0.5}, **settings)
    print(json.dumps(train(model, args.steps)))


if __name__ == "__main__":
    main()
