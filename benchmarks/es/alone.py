"""ES or ARS in one process: generations that an experiment with `deterministic: true` would have, bit for bit.

    python benchmarks es.alone --algorithm ars --env Hopper-v5 --mark 3120 --episodes 1973 --seeds 1 2 3 4 5 \
      [--set top=2 survival_bonus=1.0] [--every 32]

It costs less than an experiment and evaluates by episodes instead of seconds: the mean policy plays 5 deterministic
episodes, those that an evaluator begins with, whenever `--every` episodes have been used. A run ends at the mark or
with the last generation within `--episodes`, which is evaluated too. Prints one JSON line for each seed: the episodes
to the mark, if any, and the best evaluation.
"""

import argparse
import json
import os
import sys
from time import process_time
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import numpy as np

from learning.numbers import count, natural
from learning.settings import settings, wrong
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.es.batched_policy import Layout
from surreal.algorithms.es.chunks import Task
from surreal.algorithms.es.collector import Results
from surreal.algorithms.es.config import AnyConfig, ARSConfig, ESConfig
from surreal.algorithms.es.noise import NoiseTable
from surreal.algorithms.es.rollout import Episode, Population, task_of
from surreal.algorithms.es.state import State
from surreal.algorithms.evaluation import SEED
from surreal.algorithms.types import Array
from surreal.protocol.errors import SurrealError

KINDS: dict[str, type[AnyConfig]] = {"es": ESConfig, "ars": ARSConfig}
ENDS = ("deterministic", "total_steps", "stop_at_return")
"""Settings that have no meaning here."""
EVALUATED = 5


class Run:
    """Master and worker of one run."""

    def __init__(self, task: str, config: AnyConfig, seed: int) -> None:
        self._config = config
        envs = environments(task, 2 * config.pairs)
        layout = Layout.of(config, envs[0].spaces)
        self._noise, self._size = NoiseTable(seed, layout.size), layout.spaces.observation
        self._population = Population(envs, layout, config.normalize_observations == "running")
        self._shown = Population(environments(task, EVALUATED), layout, False)
        self.state = State(layout, config, seed, 1)
        (reference,) = environments(task, 1)
        self.state.see_reference(reference)
        reference.close()

    def turn(self) -> None:
        """Roll out one generation, and learn from it."""
        state, pairs = self.state, np.arange(self._config.pairs)
        generation = state.updates
        task = self._task(generation, pairs)
        for row in pairs.tolist():
            step = np.float32(self._config.sigma) * self._noise.at(int(task.offsets[row]))
            for side, sign in enumerate((1, -1)):
                episode = Episode(task, row, side, state.cap)
                around = state.parameters + np.float32(sign) * step
                self._population.begin(2 * row + side, episode, around, state.standardizer())
        played(self._population)
        state.learn(results_of(task, generation))

    def evaluate(self) -> float:
        """Return the mean return of the mean policy."""
        rows = np.arange(EVALUATED)
        task = self._task(0, rows)
        task.seeds = SEED + rows
        for row in rows.tolist():
            episode = Episode(task, row, 0, self._config.episode_cap)
            self._shown.begin(row, episode, self.state.parameters, self.state.standardizer())
        played(self._shown)
        return float(task.returns[:, 0].mean())

    def _task(self, generation: int, pairs: Array) -> Task:
        return task_of((0, generation), 0, pairs, self._noise, self._config, self._size)


def environments(task: str, copies: int) -> list[Environment]:
    """Return so many copies of an environment."""
    return [make_env({"id": task, "copies": copies}) for _ in range(copies)]


def played(population: Population) -> None:
    """Step until all episodes have ended."""
    while population.busy:
        population.step()


def results_of(task: Task, generation: int) -> Results:
    """Return what a master collects of a generation that came as one chunk."""
    fine = np.isfinite(task.returns).all(axis=1)
    sums = {generation: task.sums} if task.sums[-1] else {}
    generations, steps = np.full(len(task.pairs), generation), task.steps.astype(np.int64)
    broken = int((~fine).sum())
    return Results(generations[fine], task.pairs[fine], task.returns[fine], steps[fine], sums, broken)


def trained(args: argparse.Namespace, config: AnyConfig, seed: int) -> dict[str, Any]:
    """Train with one seed. Return the figures."""
    run, began, best, reached, evaluated = Run(args.env, config, seed), process_time(), -np.inf, None, 0
    generation = 2 * config.pairs
    while best < args.mark and run.state.episodes + generation <= args.episodes:
        run.turn()
        last = run.state.episodes + generation > args.episodes
        if last or run.state.episodes - evaluated >= args.every:
            evaluated = run.state.episodes
            best = max(best, run.evaluate())
            reached = evaluated if best >= args.mark else None
    figures = {"best": round(best, 1), "episodes": run.state.episodes, "steps": run.state.steps}
    return {"seed": seed, "reached": reached, **figures, "cpu_s": round(process_time() - began, 1)}


def main() -> None:
    """Train with each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithm", choices=list(KINDS), default="ars")
    parser.add_argument("--env", required=True)
    parser.add_argument("--mark", type=float, required=True, help="evaluation that ends a run")
    parser.add_argument("--episodes", type=count, required=True, help="episodes after which a run ends without it")
    parser.add_argument("--every", type=count, default=32, help="episodes between two evaluations")
    parser.add_argument("--seeds", type=natural, nargs="+", default=[1])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of the algorithm")
    args = parser.parse_args()
    try:
        config = KINDS[args.algorithm](**settings(args.set, ENDS), deterministic=True)
        if 2 * config.pairs > args.episodes:
            parser.error(f"--episodes: {args.episodes} are less than one generation, {2 * config.pairs}")
        for seed in args.seeds:
            print(json.dumps(trained(args, config, seed)), flush=True)
    except (SurrealError, ValueError) as error:
        sys.exit(f"es.alone: {wrong(error)}")


if __name__ == "__main__":
    main()
