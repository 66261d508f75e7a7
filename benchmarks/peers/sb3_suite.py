"""stable-baselines3 on any task, for the tables of suite.py; run by its own interpreter.

PPO has VecNormalize, 8 environments of 256 steps, minibatches of 64, 10 epochs and a step size that is annealed. TD3,
DDPG and SAC have one environment, batches of 256, 10,000 random steps and one update a step, as rl-baselines3-zoo gives
them for MuJoCo; TD3 and DDPG explore with Gaussian noise of 0.1. All else is the library's default, so networks are
400x300 for TD3 and DDPG and 256x256 for SAC. Prints one JSON line: the figures of a row, measured as surreal's are, but
for fewer evaluations.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sb3_kept import Kept
from sb3_tasks import make, policy
from sb3_watch import Watch, row, versions
from stable_baselines3 import DDPG, PPO, SAC, TD3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecNormalize
from tied import tie

EVALUATIONS = 20
"""Evaluations of a run of PPO."""
EVALUATE_EVERY = 10_000
"""Steps between two evaluations of the others, whatever their budget."""
OFF_POLICY = {"td3": TD3, "sac": SAC, "ddpg": DDPG}
RANDOM_STEPS, NOISE = 10_000, 0.1


def on_policy(args: argparse.Namespace, envs: dict[str, Any]) -> PPO:
    """Return PPO, not yet trained."""
    kind, kwargs = policy(args.env)
    env = VecNormalize(make_vec_env(make, n_envs=8, seed=args.seed, env_kwargs=envs))
    settings = {"n_steps": 256, "batch_size": 64, "learning_rate": lambda left: 3e-4 * left}
    return PPO(kind, env, seed=args.seed, device="cpu", policy_kwargs=kwargs, **settings)


def off_policy(args: argparse.Namespace, envs: dict[str, Any]) -> TD3 | SAC | DDPG:
    """Return TD3, SAC or DDPG, not yet trained."""
    kind, kwargs = policy(args.env)
    env = make_vec_env(make, n_envs=1, seed=args.seed, env_kwargs=envs)
    actions = env.action_space.shape
    noise = (
        {}
        if args.algorithm == "sac"
        else {"action_noise": NormalActionNoise(np.zeros(actions), np.full(actions, NOISE))}
    )
    settings = {"batch_size": 256, "train_freq": 1, "gradient_steps": 1, "learning_starts": RANDOM_STEPS, **noise}
    return OFF_POLICY[args.algorithm](kind, env, seed=args.seed, device="cpu", policy_kwargs=kwargs, **settings)


def trained(args: argparse.Namespace, envs: dict[str, Any]) -> Watch:
    """Train as `args` say, on from a run that is kept. Return what was noted."""
    if args.algorithm == "ppo":
        watch = Watch(make(**envs), args.steps, args.episodes, max(1, args.steps // EVALUATIONS))
        on_policy(args, envs).learn(args.steps, callback=watch)
        return watch
    kept = Kept(make(**envs), args.steps, args.episodes, EVALUATE_EVERY, args.kept, about(args, envs))
    model = off_policy(args, envs)
    taken = kept.go_on(model, args.seed, args.steps)
    model.learn(args.steps - taken, callback=kept, reset_num_timesteps=not taken)
    kept.keep()
    return kept


def about(args: argparse.Namespace, envs: dict[str, Any]) -> dict[str, Any]:
    """Return all that decides a run but its steps, as JSON has it."""
    settings = {"random_steps": RANDOM_STEPS, "noise": NOISE, "evaluate_every": EVALUATE_EVERY}
    who = {"algorithm": args.algorithm, "seed": args.seed, "episodes": args.episodes}
    return {**who, **envs, **settings, "versions": versions(*packages(args.env))}


def packages(task: str) -> list[str]:
    """Return the package of a suite of environments that `task` is of, if it is of one."""
    suite = task.partition("/")[0].lower()
    return [suite] if suite in ("minatar", "robosuite") else []


def main() -> None:
    """Train once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--algorithm", choices=["ppo", *OFF_POLICY], default="ppo")
    parser.add_argument("--env", default="Walker2d-v5")
    parser.add_argument("--options", type=json.loads, default={}, metavar="JSON", help="arguments of the environment")
    parser.add_argument("--time-limit", type=int)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument(
        "--kept", type=Path, metavar="DIR", help="keep a run of TD3, SAC or DDPG there, and go on with the one it has"
    )
    parser.add_argument("--tied", action="store_true", help="end as soon as standard input does")
    args = parser.parse_args()
    if args.tied:
        tie()
    torch.set_num_threads(1)
    envs = {"task": args.env, "options": args.options, "time_limit": args.time_limit}
    watch = trained(args, envs)
    print(json.dumps(row(watch, *packages(args.env))))


if __name__ == "__main__":
    main()
