"""The cost of acting: environment steps in a CPU second of one actor's loop, without sockets.

    python benchmarks speed.acting [--env HalfCheetah-v5] [--copies 8] [--fragments 20]

Two versions of the code are compared by running it under each in turn, several times: only ratios of one sitting count.
"""

import argparse
import time

import numpy as np

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.networks import Policy, Shape
from surreal.algorithms.normalizers import RunningMoments, Standardizer
from surreal.algorithms.rollouts.rollout import Rollout

STEPS = 256


def main() -> None:
    """Print the rate of `fragments` fragments, after one to warm up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="HalfCheetah-v5")
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--fragments", type=int, default=20)
    args = parser.parse_args()
    envs = VectorEnvironments(lambda: make_env(args.env), args.copies, 1)
    shape, rng = Shape(envs.spaces, (64, 64)), np.random.default_rng(1)
    policy = Policy(shape)
    policy.load(shape.initial(rng, -1.0))
    rollout = Rollout(envs, policy, args.copies, STEPS, rng)
    standardize = Standardizer.of(RunningMoments(envs.spaces.observation))
    rollout.collect(standardize, lambda: False)
    began = time.process_time()
    for _ in range(args.fragments):
        rollout.collect(standardize, lambda: False)
    steps = STEPS * args.copies * args.fragments
    print(f"{args.env}: {steps / (time.process_time() - began):,.0f} steps in a CPU second")


if __name__ == "__main__":
    main()
