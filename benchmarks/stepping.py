"""Environment steps of one core: copies stepped together, by gymnasium, and bare mj_step with the same controls.

    python benchmarks/stepping.py [--tasks HalfCheetah-v5 ...] [--copies 8] [--steps 400] [--rounds 5]

The three take turns in one process, and what counts is the CPU time of the process, so that other work on the machine
disturbs it little. Observations, rewards, ends and resets are part of the first two; the third computes none.
"""

import argparse
import statistics
from collections.abc import Callable
from time import process_time
from typing import Any

import gymnasium
import mujoco
import numpy as np

from surreal.algorithms.environments.batched.known import NAMES
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.vector import VectorEnvironments

SEED = 0
mj_step: Any = vars(mujoco)["mj_step"]


def stepper(task: str, stepping: Any, controls: np.ndarray) -> Callable[[], None]:
    """Return a function that resets the copies, then steps them by `controls` [steps, copies, control]."""
    copies = controls.shape[1]
    envs = VectorEnvironments(lambda: make_env({"id": task}), copies, SEED, stepping)

    def run() -> None:
        envs._resets = 0
        rows = envs.reset()
        for row in controls:
            rewards, ended, cut = np.zeros(copies), np.zeros(copies, bool), np.zeros(copies, bool)
            envs.step(row, rows, rewards, ended, cut)

    return run


def bare(task: str, controls: np.ndarray) -> Callable[[], None]:
    """Return a function that only steps the physics, episodes without end."""
    envs: list[Any] = [gymnasium.make(task, disable_env_checker=True) for _ in range(controls.shape[1])]

    def run() -> None:
        for index, env in enumerate(envs):
            env.reset(seed=SEED + index)
        frames = envs[0].unwrapped.frame_skip
        pairs = [(env.unwrapped.model, env.unwrapped.data) for env in envs]
        for row in controls:
            for control, (model, data) in zip(row, pairs, strict=True):
                data.ctrl[:] = control
                mj_step(model, data, nstep=frames)

    return run


def measure(task: str, copies: int, steps: int, rounds: int) -> dict[str, float]:
    """Return the CPU microseconds of one step of one copy, by each way; medians."""
    space: Any = gymnasium.make(task, disable_env_checker=True).action_space
    size = (steps, copies, *space.shape)
    controls = np.random.default_rng(SEED).uniform(space.low, space.high, size).astype(np.float32)
    ways = {
        "bare": bare(task, controls),
        "together": stepper(task, "batched", controls),
        "gymnasium": stepper(task, "gymnasium", controls),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way in list(ways)[:: 1 if number % 2 else -1]:
            began = process_time()
            ways[way]()
            if number:  # the first round compiles and warms up
                seconds[way].append(process_time() - began)
    return {way: statistics.median(each) / steps / copies * 1e6 for way, each in seconds.items()}


def main() -> None:
    """Print one line for each task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=[f"{name}-v5" for name in NAMES])
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print("| task | bare mj_step, us | together, us | gymnasium, us | together of bare | gymnasium of bare |")
    print("| --- | --: | --: | --: | --: | --: |")
    for task in options.tasks:
        cost = measure(task, options.copies, options.steps, options.rounds)
        ratios = " | ".join(f"{cost['bare'] / cost[way]:.2f}" for way in ("together", "gymnasium"))
        print(f"| {task} | " + " | ".join(f"{value:.1f}" for value in cost.values()) + f" | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
