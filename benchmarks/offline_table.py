"""Scores of methods on datasets over seeds, each run in one process: no wall clock decides anything.

    python benchmarks/offline_table.py run DATASET... --to rows.jsonl --methods bc,td3bc,iql,cql,crr,awac,td3 \\
        --seeds 5 --updates 50000
    python benchmarks/offline_table.py show rows.jsonl --references R E

`run` goes through all datasets and methods with seed 1, then with seed 2: what is there when it is stopped is a table
of fewer seeds. Runs that the file has are not run again. Each is evaluated after a fifth of its updates and so on, over
10 episodes. Scores are 100 (return - R) / (E - R), R and E the returns of random and of expert actions, or returns
where none are given. Set OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1.
"""

import argparse
import json
import time
from contextlib import closing
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from speed.offline import filled
from surreal.algorithms.datasets.dataset import Reading
from surreal.algorithms.datasets.episode import Episode
from surreal.algorithms.datasets.opening import open_all
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.evaluation import EPISODE_CAP, SEED, episode_return
from surreal.algorithms.offline.config import OfflineConfig
from surreal.algorithms.offline.method import Method
from surreal.algorithms.offline.state import State
from surreal.algorithms.offpolicy.policy import ActingPolicy
from surreal.algorithms.registry import algorithm
from surreal.algorithms.replay.buffer import ReplayBuffer
from surreal.orchestrator.offline.scores import normalised

POINTS, EPISODES = 5, 10
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "bc": ("bc", {}),
    "td3bc": ("td3bc", {"device": "cpu"}),
    "td3": ("td3bc", {"device": "cpu", "alpha": None}),
    "sac": ("cql", {"device": "cpu", "conservatism": 0.0, "actions": 1}),
    "dqn": ("cql", {"device": "cpu", "conservatism": 0.0}),
    **{name: (name, {"device": "cpu"}) for name in ("iql", "cql", "crr", "awac")},
}
"""Method -> algorithm, and its settings."""


class Data(NamedTuple):
    """A dataset in memory."""

    env: Environment
    episodes: list[Episode]
    returns: Any
    """Returns of the episodes."""

    def buffer(self, seed: int) -> ReplayBuffer:
        """Return a replay shard that holds all of them."""
        capacity = sum(map(len, self.episodes)) + 2 * len(self.episodes)
        return filled(self.episodes, self.env.spaces, capacity, seed)


@lru_cache(maxsize=1)
def opened(place: str) -> Data:
    """Return all episodes of a dataset, or of several: `mix/medium+mix/expert`."""
    with closing(open_all(place.split("+"))) as dataset:
        env = make_env({"id": str(dataset.about.env_id)}, evaluating=True)
        held = list(Reading(dataset, (0, 1), np.random.default_rng(0), lambda each: each).one_pass())
    return Data(env, held, np.array([each.rewards.sum() for each in held]))


def state_of(name: str, data: Data, seed: int, options: argparse.Namespace) -> State:
    """Return the state of a run before its first update."""
    method, more = METHODS[name]
    if name == "iql":  # as its paper scales the rewards
        more = {**more, "reward_scale": 1_000 / float(np.ptp(data.returns) or 1_000)}
    sizes = {"hidden": [options.hidden] * 2, "batch": options.batch, "total_steps": options.updates}
    made = algorithm(method).config(dataset="x", **sizes, **more, **json.loads(options.config))
    assert isinstance(made, OfflineConfig)
    return State(Method(method, made, data.env.spaces), seed)


def learned(name: str, data: Data, seed: int, options: argparse.Namespace) -> list[float]:
    """Return the returns of a run, the last of them after its last update."""
    state, buffer = state_of(name, data, seed, options), data.buffer(seed)
    ones, returns = np.ones(options.batch, dtype=np.float32), list[float]()
    while state.wants_moments:
        state.see(buffer.batch(options.batch)[1]["observations"])
    while not state.done():
        state.learn(buffer.batch(options.batch)[1], ones)
        if len(returns) < state.steps * POINTS // options.updates:
            returns.append(evaluated(state, data.env))
    return returns


def evaluated(state: State, env: Environment) -> float:
    """Return the mean return of the present policy."""
    policy = ActingPolicy(state.method.shape())
    policy.load(state.engine.policy())
    scaled, standardize = env.spaces.onto_bounds, state.standardizer

    def act(seen: Any) -> Any:
        return scaled(policy.best(policy.forward(standardize(seen))))

    cap = env.time_limit or EPISODE_CAP
    returns = [episode_return(env, act, SEED + number, cap) or 0.0 for number in range(EPISODES)]
    return float(np.mean(returns))


def run(options: argparse.Namespace) -> None:
    """Make the runs that the file has not, and append a line for each."""
    path: Path = options.to
    there = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    keys = ("dataset", "method", "seed", "updates", "hidden", "batch", "config")
    done = {tuple(row[key] for key in keys) for row in there}
    for seed in range(1, options.seeds + 1):
        for place in options.datasets:
            for name in options.methods.split(","):
                key = (place, name, seed, options.updates, options.hidden, options.batch, options.config)
                if key in done:
                    continue
                data, began = opened(place), time.process_time()
                returns = learned(name, data, seed, options)
                row = {**dict(zip(keys, key, strict=True)), "returns": [round(each, 2) for each in returns]}
                row["data"] = round(float(data.returns.mean()), 2)
                row["cpu_seconds"] = round(time.process_time() - began, 1)
                with path.open("a") as file:
                    file.write(json.dumps(row) + "\n")


def _kind(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[key] for key in ("dataset", "updates", "hidden", "batch", "config"))


def show(options: argparse.Namespace) -> None:
    """Print a table: means over seeds of last scores, their deviations, and the mean of the best scores."""
    rows = [json.loads(line) for path in options.files for line in path.read_text().splitlines()]
    for run_of, own in groupby(sorted(rows, key=_kind), key=_kind):
        together = list(own)
        place, updates, hidden, batch, config = run_of
        data = normalised(together[0]["data"], options.references)
        print(f"{place} ({data:.1f}): {updates:,} updates of {batch}, {hidden} units {config}")
        for name in sorted({row["method"] for row in together}, key=list(METHODS).index):
            found = [row["returns"] for row in together if row["method"] == name]
            scores = [[normalised(each, options.references) for each in run] for run in found]
            last, best = [each[-1] for each in scores], [max(each) for each in scores]
            said = " ".join(f"{each:.1f}" for each in last)
            print(f"  {name:6} {np.mean(last):6.1f} +- {np.std(last):4.1f}  best {np.mean(best):6.1f}  ({said})")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    learning, showing = (verbs.add_parser(name) for name in ("run", "show"))
    learning.add_argument("datasets", nargs="+")
    learning.add_argument("--to", type=Path, required=True)
    learning.add_argument("--methods", default="bc,td3bc,td3")
    learning.add_argument("--seeds", type=int, default=5)
    learning.add_argument("--updates", type=int, default=50_000)
    learning.add_argument("--hidden", type=int, default=256)
    learning.add_argument("--batch", type=int, default=256)
    learning.add_argument("--config", default="{}", help="more settings of the methods, as JSON")
    learning.set_defaults(run=run)
    showing.add_argument("files", type=Path, nargs="+")
    showing.add_argument("--references", type=float, nargs=2, metavar=("R", "E"), default=(0.0, 100.0))
    showing.set_defaults(run=show)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
