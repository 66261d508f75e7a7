"""PPO beside the libraries people use, interleaved on one machine: environment steps per second.

    python benchmarks beside.ppo --peers DIR [--rounds 3] [--steps 61440] [--env Walker2d-v5] [--only sb3 staleness-1]

DIR holds one virtual environment per peer: DIR/sb3, DIR/sbx, DIR/sf (Sample Factory), DIR/rllib; missing ones are
left out, and so are Sample Factory and RLlib on other tasks than HalfCheetah. Same settings for all but "own settings":
8 environments, 256 steps each, 10 epochs of minibatches of 64, networks of 64x64 tanh, one torch thread. The first
tenth of every run is not counted. Runs of surreal are five times as long, or they would last four seconds. Ratios
within a round are the result. `--before CHECKOUT` adds the example as an older checkout with a virtual environment of
its own trains it, and those settings trained by this one.
"""

import argparse
import json
import os
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from learning.ending import SURREAL, own_home
from learning.numbers import per_second

HERE = Path(__file__).parents[1]
EXAMPLE = HERE.parent / "examples" / "cheetah-ppo.yaml"
PROGRAM = Path(SURREAL)
SAME = (
    *("spec.env.copies=4", "spec.algorithm.config.fragment_steps=256", "spec.algorithm.config.minibatch=64"),
    *("spec.algorithm.config.recompute_returns=false", "spec.algorithm.config.gamma=0.99"),
    *("spec.algorithm.config.gae_lambda=0.95", "spec.algorithm.config.log_std_init=0.0"),
    *("spec.algorithm.config.desired_kl=null", "spec.algorithm.config.value_learning_rate=null"),
)
BEFORE = tuple(
    f"spec.algorithm.config.{word}"
    for word in (
        *("fragment_steps=256", "minibatch=128", "log_std_init=-1", "gamma=0.98", "gae_lambda=0.92"),
        *("desired_kl=null", "recompute_advantages=true", "clip_from=behaviour", "value_learning_rate=null"),
    )
)
"""The example of the older checkout in today's words."""
LONGER = 5
Result = dict[str, Any]


def surreal(steps: int, seed: int, *settings: str, example: Path = EXAMPLE, program: Path = PROGRAM) -> Result:
    """Train an example with `settings` in a home of its own; rate from its metrics."""
    with own_home() as home:
        words = [f"spec.algorithm.config.total_steps={steps}", f"spec.seed={seed}", *settings]
        command = [str(program), "create", str(example)]
        for word in words:
            command += ["--set", word]
        subprocess.run(command, env={**os.environ, "SURREAL_HOME": home}, check=True, capture_output=True)
        (metrics,) = Path(home).glob("experiments/*/metrics/metrics.jsonl")
        return from_metrics(metrics, steps)


def from_metrics(path: Path, steps: int) -> Result:
    """Steps per second between the first row after a tenth of the steps and the last row."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    learner = [row for row in rows if row["role"] == "learner/0"]
    counted, last = [row for row in learner if row["steps"] >= steps // 10], learner[-1]
    evaluations = [row["eval_return"] for row in rows if "eval_return" in row]
    return {
        "steps_per_second": per_second(counted, "steps", "--steps"),
        "seconds": last["elapsed"],
        "steps": last["steps"],
        # no episode has ended yet where a run is short and games are long
        "episode_return": float("nan") if last.get("episode_return") is None else last["episode_return"],
        "eval_return": evaluations[-1] if evaluations else float("nan"),
        "curve": curve(learner, steps),
    }


def curve(learner: list[dict[str, Any]], steps: int) -> list[tuple[int, float | None]]:
    """Return steps and training return of the first row after each tenth of the steps."""
    tenths = [[row for row in learner if row["steps"] >= steps * tenth // 10] for tenth in range(1, 11)]
    return [(rows[0]["steps"], rows[0].get("episode_return")) for rows in tenths if rows]


def peer(python: Path, script: str, steps: int, seed: int, *words: str) -> Result:
    """Run a peer's script with its own interpreter; its last line is the result."""
    command = [str(python), str(HERE / "peers" / script), "--steps", str(steps), "--seed", str(seed), *words]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{done.stderr[-3000:]}")
    result: Result = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def contestants(args: argparse.Namespace) -> dict[str, Callable[[int], Result]]:
    """Name -> a function that trains once with a seed."""
    runs: dict[str, Callable[[int], Result]] = {}
    task = ("--env", args.env)
    for name, folder, script, words in (
        ("sb3", "sb3", "sb3.py", task),
        ("sbx", "sbx", "sb3.py", ("--library", "sbx", *task)),
        ("sample-factory, own settings", "sf", "sf.py", ()),
        ("rllib", "rllib", "rllib.py", ()),
    ):
        python = args.peers / folder / "bin" / "python"
        if python.exists() and (words or args.env == "HalfCheetah-v5"):
            runs[name] = lambda seed, python=python, script=script, words=words: peer(  # type: ignore[misc]
                python, script, args.steps, seed, *words
            )
    env, long = f"spec.env.id={args.env}", LONGER * args.steps
    for staleness in (0, 1):
        settings = (env, *SAME, f"spec.algorithm.config.max_staleness={staleness}")
        runs[f"surreal, staleness-{staleness}"] = lambda seed, words=settings: surreal(long, seed, *words)  # type: ignore[misc]
    runs["surreal, example"] = lambda seed: surreal(long, seed, env)
    if args.before:
        before = {
            "example": args.before / "examples" / EXAMPLE.name,
            "program": args.before / ".venv" / "bin" / "surreal",
        }
        runs["surreal before, example"] = lambda seed: surreal(long, seed, env, **before)
        runs["surreal, settings of before"] = lambda seed: surreal(long, seed, env, *BEFORE)
    return {name: run for name, run in runs.items() if not args.only or any(word in name for word in args.only)}


def main() -> None:
    """Run all rounds, then print the table and, as JSON on stdout, every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--first", type=int, default=1, help="seed of the first round")
    parser.add_argument("--steps", type=int, default=61_440)
    parser.add_argument("--env", default="HalfCheetah-v5")
    parser.add_argument("--only", nargs="*", metavar="PART", help="parts of the names of those that run")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    args = parser.parse_args()
    talk, runs = Console(stderr=True), contestants(args)
    results: dict[str, list[Result]] = {name: [] for name in runs}
    for number in range(args.first, args.first + args.rounds):
        for name, run in runs.items():
            results[name].append(run(number))
            talk.print(f"round {number}: {name}: {results[name][-1]['steps_per_second']:.0f} steps/s")
    talk.print(table(args.env, results))
    print(json.dumps(results))


def table(env: str, results: dict[str, list[Result]]) -> Table:
    """Medians over rounds, and the median of each round's ratio to the first contestant."""
    base = next(iter(results.values()))
    rows = Table(f"PPO on {env}", "steps/s", f"ratio to {next(iter(results))}", "rounds")
    for name, figures in results.items():
        rates = [figure["steps_per_second"] for figure in figures]
        ratios = [rate / first["steps_per_second"] for rate, first in zip(rates, base, strict=True)]
        rows.add_row(name, f"{statistics.median(rates):.0f}", f"{statistics.median(ratios):.2f}", str(len(rates)))
    return rows


if __name__ == "__main__":
    main()
