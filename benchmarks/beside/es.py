"""ES on HalfCheetah beside the libraries people use and bare rollouts, interleaved: environment steps per second.

    python benchmarks beside.es --peers DIR [--rounds 3]

DIR holds a virtual environment for each peer: DIR/evotorch, DIR/ars (sb3-contrib); missing ones are left out. Each
uses two processes, 32 mirrored pairs, networks of 64x64 tanh and normalized observations (sb3-contrib has none); the
first generation is not counted. Ratios within a round are the result.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from learning.ending import SURREAL, end, own_home
from learning.numbers import per_second

HERE = Path(__file__).parents[1]
BARE, EVOTORCH = "bare rollouts, 2 processes", "EvoTorch PGPE, 2 actors"
Result = dict[str, float]
QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def surreal(example: str, steps: int, seed: int, *settings: str) -> Result:
    """Train an example in a home of its own; the rate between its first row of metrics and its last."""
    name = example.removesuffix(".yaml")
    with own_home() as home:
        words = (f"spec.algorithm.config.total_steps={steps}", f"spec.seed={seed}", *settings)
        command = [SURREAL, "create", str(HERE.parent / "examples" / example)]
        for word in words:
            command += ["--set", word]
        subprocess.run(command, env={**os.environ, "SURREAL_HOME": home}, check=True, capture_output=True)
        path = Path(home) / "experiments" / name / "metrics" / "metrics.jsonl"
        rows = [row for row in map(json.loads, path.read_text().splitlines()) if row["role"] == "master/0"]
    rate = per_second(rows, "steps", f"{example}: steps")
    return {"steps_per_second": rate, "seconds": rows[-1]["elapsed"], "steps": rows[-1]["steps"]}


def peer(python: Path, script: str, steps: int, seed: int, processes: int = 1) -> Result:
    """Run `processes` of a peer's script at once, each with its own interpreter; its last line is the result."""
    command = [str(python), str(HERE / "peers" / "es" / script), "--steps", str(steps), "--seed", str(seed)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=QUIET)
        for _ in range(processes)
    ]
    try:
        outputs = [process.communicate() for process in running]
    finally:
        for process in running:
            end(process)
    for process, (_, error) in zip(running, outputs, strict=True):
        if process.returncode:
            raise SystemExit(f"{script} failed:\n{error[-3000:]}")
    results: list[Result] = [json.loads(out.strip().splitlines()[-1]) for out, _ in outputs]
    rate = sum(result["steps_per_second"] for result in results)
    return {"steps_per_second": rate, "seconds": results[0]["seconds"], "steps": results[0]["steps"]}


def contestants(peers: Path) -> dict[str, Callable[[int], Result]]:
    """Name -> a function that runs once with a seed."""
    runs: dict[str, Callable[[int], Result]] = {
        BARE: lambda seed: peer(Path(sys.executable), "bare.py", 100_000, seed, processes=2)
    }
    for name, folder, script in (
        (EVOTORCH, "evotorch", "evotorch.py"),
        ("sb3-contrib ARS, 2 processes", "ars", "ars.py"),
    ):
        python = peers / folder / "bin" / "python"
        if python.exists():
            runs[name] = lambda seed, python=python, script=script: peer(python, script, 64_000, seed)  # type: ignore[misc]
    config = "spec.algorithm.config."
    es = ("spec.env.copies=16", f"{config}hidden=[64,64]", f"{config}population=64")
    ars = ("spec.env.copies=16", f"{config}directions=32", f"{config}deterministic=false")
    is_open = f"{config}deterministic=false"
    runs["surreal es, 2 workers"] = lambda seed: surreal("cheetah-es.yaml", 300_000, seed, *es, is_open)
    runs["surreal es, deterministic"] = lambda seed: surreal("cheetah-es.yaml", 300_000, seed, *es)
    runs["surreal ars, 2 workers"] = lambda seed: surreal("cheetah-ars.yaml", 300_000, seed, *ars)
    return runs


def main() -> None:
    """Run all rounds, then print the table and, as JSON on stdout, every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    talk, runs = Console(stderr=True), contestants(args.peers)
    results: dict[str, list[Result]] = {name: [] for name in runs}
    for number in range(args.rounds):
        for name, run in runs.items():
            results[name].append(run(number + 1))
            talk.print(f"round {number + 1}: {name}: {results[name][-1]['steps_per_second']:.0f} steps/s")
    talk.print(table(results))
    print(json.dumps(results))


def table(results: dict[str, list[Result]]) -> Table:
    """Medians over rounds, and the median of each round's ratio to bare rollouts and to EvoTorch."""
    rows = Table("HalfCheetah", "steps/s", "ratio to bare rollouts", "ratio to EvoTorch")
    for name, figures in results.items():
        rates = [figure["steps_per_second"] for figure in figures]
        ratios = [
            statistics.median(rate / base["steps_per_second"] for rate, base in zip(rates, results[of], strict=True))
            if of in results
            else float("nan")
            for of in (BARE, EVOTORCH)
        ]
        rows.add_row(name, f"{statistics.median(rates):.0f}", *(f"{ratio:.2f}" for ratio in ratios))
    return rows


if __name__ == "__main__":
    main()
