"""Steps at which the physics of two mujoco releases part: the same task, seed and actions under each.

    ENV1/bin/python benchmarks environments.mujoco_versions record 3.9.npz
    ENV2/bin/python benchmarks environments.mujoco_versions record 4.0.npz
    python benchmarks environments.mujoco_versions compare 3.9.npz 4.0.npz

Each environment needs gymnasium, numpy and its own mujoco. A step that ends an episode resets it, so a trajectory runs
on. The second column of a table is the first of 1,000 steps whose observation is another; 0 is the reset.
"""

import argparse
import sys
from typing import Any

import gymnasium
import numpy as np

RUNNERS = ("HalfCheetah", "Hopper", "Walker2d", "Ant", "Humanoid", "HumanoidStandup")
TASKS = (*RUNNERS, "Swimmer", "Reacher", "Pusher", "InvertedPendulum", "InvertedDoublePendulum")
STEPS, SEED = 1000, 1
Array = np.ndarray[Any, Any]


def record(task: str) -> dict[str, Array]:
    """Observations [steps + 1, n] and rewards [steps] of random actions."""
    env = gymnasium.make(f"{task}-v5")
    space = env.action_space
    assert isinstance(space, gymnasium.spaces.Box)
    actions = np.random.default_rng(SEED).uniform(space.low, space.high, (STEPS, *space.shape)).astype(np.float32)
    observations, rewards = [env.reset(seed=SEED)[0]], []
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        observations.append(observation)
        rewards.append(reward)
        if terminated or truncated:
            env.reset(seed=SEED + len(rewards))
    env.close()
    return {f"{task}.observations": np.array(observations), f"{task}.rewards": np.array(rewards, dtype=np.float64)}


def compare(first: dict[str, Array], second: dict[str, Array]) -> None:
    """Print a row for each task: the first step that differs, the distance after some, both returns."""
    print("| task | first other step | after 1 | after 10 | after 100 | reward, all 1,000 steps |")
    print("|---|---|---|---|---|---|")
    for task in TASKS:
        one, other = first[f"{task}.observations"], second[f"{task}.observations"]
        apart = np.abs(one - other).max(axis=1)
        differs = np.flatnonzero(apart > 0)
        where = str(differs[0]) if len(differs) else "none"
        far = " | ".join("0" if apart[step] == 0 else f"{apart[step]:.0e}" for step in (1, 10, 100))
        totals = " / ".join(f"{each[f'{task}.rewards'].sum():.1f}" for each in (first, second))
        print(f"| {task}-v5 | {where} | {far} | {totals} |")


def main() -> None:
    """Record under this interpreter's mujoco, or compare two records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("record", "compare"))
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    if args.what == "compare":
        compare(*(dict(np.load(file)) for file in args.files[:2]))
        return
    import mujoco

    arrays: dict[str, Array] = {}
    for task in TASKS:
        arrays |= record(task)
    np.savez(args.files[0], **arrays)  # type: ignore[arg-type]
    print(f"mujoco {mujoco.__version__}, gymnasium {gymnasium.__version__}", file=sys.stderr)


if __name__ == "__main__":
    main()
