"""Rates of one core in an ES run, for algorithms/es/sizing.py: a worker's environment steps, the master's update.

    python benchmarks es.rates [--envs HalfCheetah-v5 ...] [--seconds 3]

CPU seconds of one process, by policies that act at random; environments whose episodes then end early spend much of the
time in resets, where a trained policy does not.
"""

import argparse
import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from surreal.algorithms.algorithm import Algorithm
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.es.batched_policy import Layout
from surreal.algorithms.es.chunks import Task
from surreal.algorithms.es.config import read_config
from surreal.algorithms.es.noise import NoiseTable
from surreal.algorithms.es.rollout import Episode, Population
from surreal.algorithms.es.sizing import ENVIRONMENTS
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.registry import ARS, ES

COPIES = 16
PAIRS = 2000
PARAMETERS = 50_000


def rate(algorithm: Algorithm, env: str, seconds: float) -> tuple[int, float]:
    """(parameters of the default policy, environment steps in a CPU second)."""
    envs = [make_env({"id": env, "options": {}}) for _ in range(COPIES)]
    layout = Layout.of(read_config(algorithm.config().model_dump()), envs[0].spaces)
    population, size = Population(envs, layout, True), layout.spaces.observation
    parameters = 0.05 * np.random.default_rng(1).standard_normal(layout.size).astype(np.float32)
    identity = Standardizer(np.zeros(size, dtype=np.float32), np.ones(size, dtype=np.float32))
    began = time.process_time()
    while time.process_time() - began < seconds:
        for slot in population.free:
            population.begin(slot, Episode(one_pair(size), 0, 0, 10_000), parameters, identity)
        population.step()
    population.close()
    return layout.size, population.steps / (time.process_time() - began)


def one_pair(size: int) -> Task:
    """A chunk of one pair."""
    numbers: dict[str, Any] = {name: np.arange(1) for name in ("pairs", "offsets", "seeds")}
    return Task((1, 0), 0, **numbers, counted=np.ones(1, dtype=bool), sums=np.zeros(2 * size + 1, dtype=np.int64))


def update() -> float:
    """CPU seconds of the master for each pair and parameter."""
    noise = NoiseTable(1, PARAMETERS)
    offsets, weights = noise.offsets(0, np.arange(PAIRS)), np.random.default_rng(1).standard_normal(PAIRS)
    noise.combine(offsets, weights)
    began = time.process_time()
    noise.combine(offsets, weights)
    return (time.process_time() - began) / (PAIRS * PARAMETERS)


def main() -> None:
    """A table of the environments, and the update."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", nargs="+", default=list(ENVIRONMENTS))
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    rows = Table("environment", "policy", "parameters", "steps/s")
    for env in args.envs:
        for algorithm in (ES, ARS):
            parameters, steps = rate(algorithm, env, args.seconds)
            rows.add_row(env, algorithm.name, f"{parameters:,}", f"{steps:,.0f}")
    Console().print(rows)
    Console().print(f"update: {update():.2g} s for each pair and parameter")


if __name__ == "__main__":
    main()
