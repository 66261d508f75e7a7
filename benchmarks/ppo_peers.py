"""PPO on HalfCheetah beside the libraries people use, interleaved on one machine: environment steps per second.

    python benchmarks/ppo_peers.py --peers DIR [--rounds 3] [--steps 61440]

DIR holds one virtual environment per peer: DIR/sb3, DIR/sf (Sample Factory), DIR/rllib; missing ones are left
out. Same settings for all but "own settings": 8 environments, 256 steps each, 10 epochs of minibatches of 64, networks
of 64x64 tanh, one torch thread. The first tenth of every run is not counted. Ratios within a round are the result.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
EXAMPLE = HERE.parent / "examples" / "cheetah-ppo.yaml"
SAME = (
    *("spec.env.copies=4", "spec.algorithm.config.fragment_steps=256", "spec.algorithm.config.minibatch=64"),
    *("spec.algorithm.config.recompute_returns=false", "spec.algorithm.config.gamma=0.99"),
    *("spec.algorithm.config.gae_lambda=0.95", "spec.algorithm.config.log_std_init=0.0"),
    "spec.algorithm.config.desired_kl=null",
)
Result = dict[str, float]


def surreal(steps: int, seed: int, *settings: str, example: Path = EXAMPLE) -> Result:
    """Train an example with `settings` in a home of its own; rate from its metrics."""
    with tempfile.TemporaryDirectory() as home:
        words = [f"spec.algorithm.config.total_steps={steps}", f"spec.seed={seed}", *settings]
        command = [str(Path(sys.executable).with_name("surreal")), "create", str(example)]
        for word in words:
            command += ["--set", word]
        subprocess.run(command, env={**os.environ, "SURREAL_HOME": home}, check=True, capture_output=True)
        (metrics,) = Path(home).glob("experiments/*/metrics/metrics.jsonl")
        return from_metrics(metrics, steps)


def from_metrics(path: Path, steps: int) -> Result:
    """Steps per second between the first row after a tenth of the steps and the last row."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    learner = [row for row in rows if row["role"] == "learner/0"]
    first = next(row for row in learner if row["steps"] >= steps // 10)
    last = learner[-1]
    evaluations = [row["eval_return"] for row in rows if "eval_return" in row]
    return {
        "steps_per_second": (last["steps"] - first["steps"]) / (last["elapsed"] - first["elapsed"]),
        "seconds": last["elapsed"],
        "steps": last["steps"],
        "episode_return": last["episode_return"],
        "eval_return": evaluations[-1] if evaluations else float("nan"),
    }


def peer(python: Path, script: str, steps: int, seed: int, *words: str) -> Result:
    """Run a peer's script with its own interpreter; its last line is the result."""
    command = [str(python), str(HERE / "peers" / script), "--steps", str(steps), "--seed", str(seed), *words]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{done.stderr[-3000:]}")
    result: Result = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def contestants(peers: Path, steps: int) -> dict[str, Callable[[int], Result]]:
    """Name -> a function that trains once with a seed."""
    runs: dict[str, Callable[[int], Result]] = {}
    for name, folder, script in (
        ("stable-baselines3 PPO", "sb3", "sb3.py"),
        ("Sample Factory APPO, own settings", "sf", "sf.py"),
        ("RLlib PPO", "rllib", "rllib.py"),
    ):
        python = peers / folder / "bin" / "python"
        if python.exists():
            runs[name] = lambda seed, python=python, script=script: peer(python, script, steps, seed)  # type: ignore[misc]
    for staleness in (0, 1):
        words = (*SAME, f"spec.algorithm.config.max_staleness={staleness}")
        runs[f"surreal, max_staleness {staleness}"] = lambda seed, words=words: surreal(steps, seed, *words)  # type: ignore[misc]
    runs["surreal, examples/cheetah-ppo.yaml"] = lambda seed: surreal(max(steps, 163_840), seed)
    return runs


def main() -> None:
    """Run all rounds, then print the table and, as JSON on stdout, every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=61_440)
    args = parser.parse_args()
    talk, runs = Console(stderr=True), contestants(args.peers, args.steps)
    results: dict[str, list[Result]] = {name: [] for name in runs}
    for number in range(args.rounds):
        for name, run in runs.items():
            results[name].append(run(number + 1))
            talk.print(f"round {number + 1}: {name}: {results[name][-1]['steps_per_second']:.0f} steps/s")
    talk.print(table(results))
    print(json.dumps(results))


def table(results: dict[str, list[Result]]) -> Table:
    """Medians over rounds, and the median of each round's ratio to the first contestant."""
    base = next(iter(results.values()))
    rows = Table("PPO on HalfCheetah", "steps/s", f"ratio to {next(iter(results))}", "rounds")
    for name, figures in results.items():
        rates = [figure["steps_per_second"] for figure in figures]
        ratios = [rate / first["steps_per_second"] for rate, first in zip(rates, base, strict=True)]
        rows.add_row(name, f"{statistics.median(rates):.0f}", f"{statistics.median(ratios):.2f}", str(len(rates)))
    return rows


if __name__ == "__main__":
    main()
