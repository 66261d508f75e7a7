"""What ES and ARS reach in some minutes with two workers: the examples, several seeds each, one run after the other.

    python benchmarks/es_curves.py [--only cheetah-ars ...] [--seeds 1 2 3] [--home DIR]

Every run gets its minutes of wall clock, from the start of its processes, or ends before at its total_steps. Reported:
the last evaluation of the mean policy before the time was over (5 episodes), the best one, and environment steps. All
figures as JSON on stdout; the runs stay in DIR for benchmarks/curves.py.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

EXAMPLES = Path(__file__).parent.parent / "examples"
SURREAL = str(Path(sys.executable).with_name("surreal"))
MINUTES = {"cheetah-ars": 4, "hopper-ars": 5, "cheetah-es": 5, "swimmer-ars": 5}
STEPS = {"cheetah-ars": 20_000_000, "hopper-ars": 20_000_000, "cheetah-es": 20_000_000}
"""More than the minutes are good for; an example that is not named here keeps its own."""


def run(example: str, seed: int, home: Path) -> dict[str, Any]:
    """Train once for the example's minutes."""
    name = f"{example}-{seed}"
    words = [f"metadata.name={name}", f"spec.seed={seed}"]
    if example in STEPS:
        words.append(f"spec.algorithm.config.total_steps={STEPS[example]}")
    command = [SURREAL, "create", "-d", str(EXAMPLES / f"{example}.yaml")]
    for word in words:
        command += ["--set", word]
    environment = {**os.environ, "SURREAL_HOME": str(home)}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    limit = ["--timeout", str(60 * MINUTES[example])]
    waited = subprocess.run([SURREAL, "wait", name, *limit], env=environment, capture_output=True)
    if waited.returncode:
        subprocess.run([SURREAL, "stop", name], env=environment, check=True, capture_output=True)
    folder = home / "experiments" / name
    return {"example": example, "seed": seed, **outcome(folder, 60.0 * MINUTES[example])}


def outcome(folder: Path, seconds: float) -> dict[str, Any]:
    """The evaluations within `seconds` of the first row, and the steps."""
    rows = [json.loads(line) for line in (folder / "metrics" / "metrics.jsonl").read_text().splitlines()]
    began = rows[0]["time"] - rows[0].get("elapsed", 0.0)
    rows = [row for row in rows if row["time"] - began <= seconds + 5]
    evaluations = [(row["steps"], row["eval_return"], row["eval_std"]) for row in rows if "eval_return" in row]
    master = [row for row in rows if row["role"] == "master/0"][-1]
    return {
        "steps": master["steps"],
        "elapsed": master["elapsed"],
        "last": evaluations[-1][1],
        "std": evaluations[-1][2],
        "best": max(value for _, value, _ in evaluations),
    }


def main() -> None:
    """All runs, then a table of them and of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(MINUTES), choices=list(MINUTES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--home", type=Path)
    args = parser.parse_args()
    home = args.home or Path(tempfile.mkdtemp(prefix="s"))
    talk, table = Console(stderr=True), Table("run", "steps", "seconds", "last evaluation", "best")
    results = []
    for example in args.only:
        runs = [run(example, seed, home) for seed in args.seeds]
        results += runs
        for one in runs:
            last = f"{one['last']:.0f} +- {one['std']:.0f}"
            table.add_row(
                f"{example} seed {one['seed']}",
                f"{one['steps']:,}",
                f"{one['elapsed']:.0f}",
                last,
                f"{one['best']:.0f}",
            )
        medians = [f"{statistics.median(one[key] for one in runs):.0f}" for key in ("steps", "elapsed", "last", "best")]
        table.add_row(f"{example} median", *medians)
    talk.print(table)
    talk.print(f"runs: {home}/experiments")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
