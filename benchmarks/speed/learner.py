"""CPU time that PPO's learner spends on a sample, by each engine of the gradients, in turns in one process.

Measured is a whole update: values, advantages, shuffling, ten epochs of minibatches. HalfCheetah's sizes.

    OPENBLAS_NUM_THREADS=1 python benchmarks speed.learner --rounds 7
"""

import argparse
from statistics import median
from time import process_time

import numpy as np

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.networks import Shape
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.update import Updater
from surreal.algorithms.rollouts.trajectories import Trajectories

ENGINES = ("analytic", "compiled")


def trajectories(shape: Shape, steps: int, copies: int) -> Trajectories:
    """Return random transitions that end nowhere."""
    rng, spaces = np.random.default_rng(0), shape.spaces

    def normal(*size: int) -> np.ndarray:
        return rng.standard_normal(size).astype(np.float32)

    never = np.zeros((steps, copies), np.bool_)
    return Trajectories(
        normal(steps + 1, copies, spaces.observation),
        normal(0, spaces.observation),
        normal(steps, copies, spaces.action),
        normal(steps, copies) * 0.1 - 8,
        normal(steps, copies),
        never,
        never,
    )


def main() -> None:
    """Print microseconds of CPU time a sample, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--minibatch", type=int, nargs="+", default=[64, 128, 512])
    parser.add_argument("--hidden", type=int, nargs="+", default=[64, 64])
    args = parser.parse_args()
    shape = Shape(Spaces.flat(17, 6, False), tuple(args.hidden))
    data = trajectories(shape, 128, 16)
    print("| minibatch | analytic | compiled | ratio | range |\n|---|--:|--:|--:|---|")
    for minibatch in args.minibatch:
        engines = {
            kind: Updater(shape, PPOConfig(numba=kind == "compiled", minibatch=minibatch, hidden=args.hidden), 0)
            for kind in ENGINES
        }
        times: dict[str, list[float]] = {kind: [] for kind in ENGINES}
        for turn in range(args.rounds + 1):
            for kind, updater in engines.items():
                began = process_time()
                updater.update(data, 0.0)
                if turn:  # the first one loads what is compiled
                    times[kind].append((process_time() - began) / data.transitions * 1e6)
        pairs = zip(*times.values(), strict=True)
        ratios = [new / old for old, new in pairs]
        old, new = (median(times[kind]) for kind in ENGINES)
        spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
        print(f"| {minibatch} | {old:.1f} us | {new:.1f} us | {median(ratios):.2f} | {spread} |")


if __name__ == "__main__":
    main()
