"""Time of one update by engine, interleaved: by hand in numpy with one and two threads, autograd, torch.compile.

    OPENBLAS_NUM_THREADS=1 python benchmarks speed.offpolicy_engines [--rounds 5] [--updates 20] [--compile]

HalfCheetah's sizes (17 observations, 6 actions), 256x256, batches of 256, random transitions, one torch thread. The
milliseconds are medians over the rounds: of wall clock, and of the CPU time of all threads.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.offpolicy.config import DDPGConfig, DQNConfig, OffPolicyConfig, SACConfig, TD3Config
from surreal.algorithms.offpolicy.method import Method
from surreal.algorithms.offpolicy.state import State
from surreal.algorithms.offpolicy.updates import losses

CONFIGS: dict[str, type[OffPolicyConfig]] = {"td3": TD3Config, "sac": SACConfig, "ddpg": DDPGConfig, "dqn": DQNConfig}
ENGINES: dict[str, dict[str, Any]] = {
    "numpy, 1 thread": {"gradients": "analytic"},
    "numpy, 2 threads": {"gradients": "analytic", "threads": 2},
    "torch autograd": {"gradients": "autograd", "device": "cpu"},
}


def transitions(discrete: bool) -> dict[str, Any]:
    """Return 256 random transitions."""
    rng = np.random.default_rng(0)
    seen, following = rng.standard_normal((2, 256, 17), dtype=np.float32)
    box = np.tanh(rng.standard_normal((256, 6), dtype=np.float32))
    return {
        "observations": seen,
        "actions": rng.integers(6, size=256) if discrete else box,
        "rewards": rng.standard_normal(256, dtype=np.float32),
        "discounts": np.full(256, 0.99, dtype=np.float32),
        "next_observations": following,
    }


def updater(name: str, settings: dict[str, Any], updates: int) -> Callable[[], tuple[float, float]]:
    """Return a function that makes `updates` updates and returns (wall, CPU) milliseconds of one."""
    discrete = name == "dqn"
    state = State(Method(name, CONFIGS[name](**settings)), Spaces.flat(17, 6, discrete), seed=1)
    arrays, weights = transitions(discrete), np.ones(256, dtype=np.float32)
    for _ in range(4):
        state.learn(arrays, weights)

    def run() -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(updates):
            state.learn(arrays, weights)
        return 1e3 * (time.perf_counter() - wall) / updates, 1e3 * (time.process_time() - cpu) / updates

    return run


def main() -> None:
    """Measure all engines of all algorithms, one after the other in each round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--algorithms", nargs="+", default=list(CONFIGS))
    parser.add_argument("--compile", action="store_true", help="measure torch.compile of the losses, too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("algorithm", "engine", "wall ms", "CPU ms", "updates/s of wall")
    for name in args.algorithms:
        runs = {engine: updater(name, settings, args.updates) for engine, settings in ENGINES.items()}
        if args.compile:
            losses.network = torch.compile(losses.network)
            runs["torch.compile"] = updater(name, ENGINES["torch autograd"], args.updates)
        rounds = [{engine: run() for engine, run in runs.items()} for _ in range(args.rounds)]
        for engine in runs:
            wall, cpu = (statistics.median(round_[engine][part] for round_ in rounds) for part in (0, 1))
            table.add_row(name, engine, f"{wall:.2f}", f"{cpu:.2f}", f"{1e3 / wall:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
