"""stable-baselines3's PPO on robosuite's Lift from states, with the settings of benchmarks/robosuite_peers.py.

Run by its own interpreter, which needs robosuite. Prints one JSON line: steps per second after the first tenth, the
training return at the end, and after each tenth of the steps.
"""

import argparse
import json
import time
from typing import Any

import gymnasium
import robosuite  # type: ignore[import-not-found]
import torch
from robosuite.wrappers import GymWrapper  # type: ignore[import-not-found]
from sb3 import Clock, training_return
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

HORIZON = 200


class Truncates(gymnasium.Wrapper):
    """The horizon, which robosuite reports as the end of a task, is a time limit."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and say truncated at the horizon. Lift ends nowhere else."""
        observation, reward, ended, _, info = self.env.step(action)
        return observation, reward, False, ended, info


def make() -> gymnasium.Env:
    """Return Lift with shaped rewards and without cameras."""
    options = {"has_renderer": False, "has_offscreen_renderer": False, "use_camera_obs": False, "control_freq": 20}
    made = robosuite.make("Lift", robots="Panda", reward_shaping=True, horizon=HORIZON, **options)
    return Truncates(GymWrapper(made, flatten_obs=True))


def main() -> None:
    """Train once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=150_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)

    env = VecNormalize(VecMonitor(DummyVecEnv([make] * 4)))
    settings = {"n_steps": 200, "batch_size": 64, "n_epochs": 10, "learning_rate": 3e-4}
    model = PPO("MlpPolicy", env, seed=args.seed, device="cpu", policy_kwargs={"log_std_init": -0.5}, **settings)
    clock, start = Clock(args.steps // 10), time.perf_counter()
    model.learn(args.steps, callback=clock)
    result = {
        "steps_per_second": (model.num_timesteps - clock.first) / (time.perf_counter() - clock.began),
        "seconds": time.perf_counter() - start,
        "steps": model.num_timesteps,
        "episode_return": training_return(model),
        "curve": clock.curve,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
