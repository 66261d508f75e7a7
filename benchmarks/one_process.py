"""PPO in one process, without channels: an actor's rollouts and the learner's updates in turns, for ablations.

    python benchmarks/one_process.py --env Walker2d-v5 --steps 300000 --seed 1 [--set log_std_init=-1 max_staleness=0]

One actor of 16 copies acts with weights that are exactly `max_staleness` updates old. It costs less CPU time than an
experiment, and ends with the same figures every time. Prints one JSON line: the training return of the last 100
episodes, and three evaluations over the run, the last of the final weights, each of 10 deterministic episodes. The
curve has twenty rows of steps, that return, entropy, KL and step size. With `--until STEPS` a run that anneals over
`--steps` ends earlier.
"""

import argparse
import json
import os
import sys
import time
from collections import deque
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import numpy as np

from learning.numbers import count, natural
from learning.settings import settings, wrong
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.evaluation import SEED
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.normalizers import Standardizer, over_leaves
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.update import Updater
from surreal.algorithms.rollouts.rollout import Rollout
from surreal.algorithms.rollouts.state import State
from surreal.algorithms.types import Array
from surreal.protocol.errors import SurrealError
from surreal.protocol.wire.packet import Message

COPIES, EPISODES, EVALUATIONS, POINTS = 16, 10, 3, 20


class Run:
    """Actor and learner of one run."""

    def __init__(self, task: str, config: PPOConfig, seed: int) -> None:
        self.task, self.config = task, config
        first, second = np.random.SeedSequence([seed, 1, 0, 0]).spawn(2)
        envs = environments(task, COPIES, int(first.generate_state(1)[0]))
        layout = make_model(config.network, envs.spaces, config.hidden)
        self.spaces, self.policy = envs.spaces, make_policy(layout)
        self.state = State(envs.spaces, config, Updater(layout, config, seed))
        self._rollout = Rollout(envs, self.policy, COPIES, config.fragment_steps, np.random.default_rng(second))
        self._weights = deque([self._newest()] * (config.max_staleness + 1), config.max_staleness + 1)

    def turn(self) -> dict[str, float]:
        """Collect a fragment with the oldest weights that may be used, and learn from it. Return the metrics."""
        parameters, standardizer = self._weights[0]
        self.policy.load(parameters)
        fragment = self._rollout.collect(over_leaves(standardizer, self.spaces), lambda: False)
        assert fragment is not None
        message = Message("actor/0", 0, self.state.updates, (0, self.state.updates), {}, fragment)
        metrics = self.state.learn([message])
        self._weights.append(self._newest())
        return metrics

    def evaluate(self) -> float:
        """Return the mean return of EPISODES deterministic episodes of the newest weights."""
        parameters, standardizer = self._newest()
        self.policy.load(parameters)
        standardize = over_leaves(standardizer, self.spaces)
        envs, onto_bounds = environments(self.task, EPISODES, SEED), self.policy.bounded(self.spaces.onto_bounds)
        rows, rewards = envs.reset(), np.zeros(EPISODES, dtype=np.float32)
        totals, live = np.zeros(EPISODES), np.ones(EPISODES, dtype=np.bool_)
        while live.any():
            ended, cut = np.zeros(EPISODES, dtype=np.bool_), np.zeros(EPISODES, dtype=np.bool_)
            out, _ = self.policy.advance(standardize(rows), self.policy.initial_state(EPISODES))
            envs.step(onto_bounds(self.policy.best(out)), rows, rewards, ended, cut)
            totals += rewards * live
            live &= ~(ended | cut)
        return float(totals.mean())

    def _newest(self) -> tuple[Array, Standardizer]:
        return self.state.updater.parameters(), self.state.standardizer()


def environments(task: str, copies: int, seed: int) -> VectorEnvironments:
    """Return `copies` of a task, stepped together where they can be."""
    return VectorEnvironments(lambda: make_env(task), copies, seed)


def main() -> None:
    """Train once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", required=True)
    parser.add_argument("--steps", type=count, default=300_000)
    parser.add_argument("--until", type=count, metavar="STEPS", help="stop there, of a schedule of --steps")
    parser.add_argument("--seed", type=natural, default=1)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", dest="settings")
    args = parser.parse_args()
    try:
        print(json.dumps(one(args)))
    except (SurrealError, ValueError) as error:
        sys.exit(f"one_process: {wrong(error)}")


def one(args: argparse.Namespace) -> dict[str, Any]:
    """Train once. Return the figures of the run."""
    given = settings(args.settings, ("total_steps",))
    began, until = time.process_time(), min(args.until or args.steps, args.steps)
    run = Run(args.env, PPOConfig(total_steps=args.steps, **given), args.seed)
    curve, evaluations = trained(run, until)
    said = {"env": args.env, "seed": args.seed, "steps": run.state.steps, "settings": given, "curve": curve}
    figures = {"training": run.state.mean_return(), "evaluations": evaluations, "cpu": time.process_time() - began}
    return {**said, **figures}


def trained(run: Run, until: int) -> tuple[list[list[float | None]], list[float]]:
    """Train for `until` steps. Return rows of the curve, and evaluations."""
    curve: list[list[float | None]] = []
    evaluations: list[float] = []
    while run.state.steps < until and not run.state.done():
        metrics = run.turn()
        if run.state.steps * POINTS >= until * (len(curve) + 1):
            figures = [round(metrics[name], 7) for name in ("entropy", "kl", "learning_rate")]
            curve.append([run.state.steps, run.state.mean_return(), *figures])
        if run.state.steps * EVALUATIONS >= until * (len(evaluations) + 1):
            evaluations.append(run.evaluate())
    return curve, evaluations


if __name__ == "__main__":
    main()
