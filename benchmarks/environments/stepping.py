"""Environment steps of one core: copies stepped together, by gymnasium, by envpool, and bare mj_step.

    python benchmarks environments.stepping [--tasks HalfCheetah-v5 ...] [--copies 8] [--steps 400] [--envpool PYTHON]

All take turns with the same controls, and what counts is the CPU time of the process, so that other work on the machine
disturbs it little. Observations, rewards, ends and resets are part of all but bare mj_step, which starts its copies
where gymnasium's new episodes start and computes nothing else. PYTHON is an interpreter that has envpool.
"""

import argparse
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import gymnasium
import mujoco
import numpy as np

from surreal.algorithms.environments.batched.known import NAMES
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.vector import VectorEnvironments

SEED = 0
WAYS = ("together", "gymnasium", "envpool")
Run = Callable[[], float]
"""One pass over all controls; its CPU seconds."""
Start = tuple[np.ndarray, np.ndarray]
"""Positions and velocities at which an episode begins."""
mj_step, mj_forward, mj_reset = (vars(mujoco)[name] for name in ("mj_step", "mj_forward", "mj_resetData"))


def timed(run: Callable[[], None]) -> Run:
    """Return a function that calls `run` and returns the CPU seconds that took."""

    def measured() -> float:
        began = process_time()
        run()
        return process_time() - began

    return measured


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


def starts(task: str, controls: np.ndarray) -> list[dict[int, Start]]:
    """Return where gymnasium begins new episodes: before each step, by copy."""
    found: list[dict[int, Start]] = [{} for _ in range(len(controls) + 1)]
    for copy in range(controls.shape[1]):
        env: Any = gymnasium.make(task, disable_env_checker=True)
        env.reset(seed=SEED + copy)
        found[0][copy] = state(env)
        for step, row in enumerate(controls):
            _, _, terminated, truncated, _ = env.step(row[copy])
            if terminated or truncated:
                env.reset()
                found[step + 1][copy] = state(env)
    return found


def state(env: Any) -> Start:
    """Return positions and velocities of an environment, copied."""
    return env.unwrapped.data.qpos.copy(), env.unwrapped.data.qvel.copy()


def bare(task: str, controls: np.ndarray) -> Callable[[], None]:
    """Return a function that only steps the physics, through the episodes that gymnasium has."""
    envs: list[Any] = [gymnasium.make(task, disable_env_checker=True) for _ in range(controls.shape[1])]
    began, frames = starts(task, controls), envs[0].unwrapped.frame_skip
    pairs = [(env.unwrapped.model, env.unwrapped.data) for env in envs]

    def run() -> None:
        for row, anew in zip(controls, began, strict=False):
            for copy, (positions, velocities) in anew.items():
                model, data = pairs[copy]
                mj_reset(model, data)
                data.qpos[:], data.qvel[:] = positions, velocities
                mj_forward(model, data)
            for control, (model, data) in zip(row, pairs, strict=True):
                data.ctrl[:] = control
                mj_step(model, data, nstep=frames)

    return run


def envpool(python: Path, task: str, copies: int, steps: int) -> Run:
    """Return a function that has envpool's process make one pass."""
    script = Path(__file__).parents[1] / "peers" / "parts" / "envpool_rates.py"
    words = [str(python), str(script), "--task", task, "--copies", str(copies), "--steps", str(steps)]
    pipe = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert pipe.stdin
    assert pipe.stdout
    said, heard = pipe.stdin, pipe.stdout

    def run() -> float:
        print("go", file=said, flush=True)
        return float(heard.readline())

    return run


def measure(task: str, options: argparse.Namespace) -> dict[str, float]:
    """Return the CPU microseconds of one step of one copy, by each way; medians."""
    copies, steps = options.copies, options.steps
    space: Any = gymnasium.make(task, disable_env_checker=True).action_space
    size = (steps, copies, *space.shape)
    controls = np.random.default_rng(SEED).uniform(space.low, space.high, size).astype(np.float32)
    ways = {
        "bare": timed(bare(task, controls)),
        "together": timed(stepper(task, "batched", controls)),
        "gymnasium": timed(stepper(task, "gymnasium", controls)),
    }
    if options.envpool:
        ways["envpool"] = envpool(options.envpool, task, copies, steps)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(options.rounds + 1):
        for way in list(ways)[:: 1 if number % 2 else -1]:
            took = ways[way]()
            if number:  # the first round compiles and warms up
                seconds[way].append(took)
    return {way: statistics.median(each) / steps / copies * 1e6 for way, each in seconds.items()}


def main() -> None:
    """Print one line for each task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=[f"{name}-v5" for name in NAMES])
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--envpool", type=Path, metavar="PYTHON")
    options = parser.parse_args()
    ways = [way for way in WAYS if way != "envpool" or options.envpool]
    heads = ["task", "bare mj_step, us", *(f"{way}, us" for way in ways), *(f"{way} of bare" for way in ways)]
    print(f"| {' | '.join(heads)} |\n| --- |{' --: |' * (len(heads) - 1)}")
    for task in options.tasks:
        cost = measure(task, options)
        ratios = " | ".join(f"{cost['bare'] / cost[way]:.2f}" for way in ways)
        print(f"| {task} | " + " | ".join(f"{cost[way]:.1f}" for way in ("bare", *ways)) + f" | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
