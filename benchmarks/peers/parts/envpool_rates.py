"""envpool's MuJoCo tasks in one thread; run by its own interpreter.

For each line on stdin it steps all copies by the same random controls as environments/stepping.py, and prints its CPU
seconds.
"""

import argparse
import sys
from time import process_time

import envpool
import numpy as np

SEED = 0


def main() -> None:
    """Make one pass for each line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", default="HalfCheetah-v5")
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--steps", type=int, default=400)
    args = parser.parse_args()
    envs = envpool.make_gymnasium(args.task, num_envs=args.copies, num_threads=1, seed=SEED)
    space = envs.action_space
    controls = np.random.default_rng(SEED).uniform(space.low, space.high, (args.steps, args.copies, *space.shape))
    actions = controls.astype(np.float32).astype(space.dtype)
    for _ in sys.stdin:
        began = process_time()
        envs.reset()
        for row in actions:
            envs.step(row)
        print(process_time() - began, flush=True)


if __name__ == "__main__":
    main()
