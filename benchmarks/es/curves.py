"""Time to the marks of ES and ARS with two workers: the examples, several seeds each, one run after the other.

    python benchmarks es.curves [--only cheetah-ars ...] [--seeds 1 2 3] [--home DIR] [--plot docs/images/es.png]
    python benchmarks es.curves --paper --only cheetah-ars hopper-ars swimmer-ars --seeds 1 2 3 4 5

A run ends with the first evaluation of the mean policy (deterministic, 5 episodes) that reaches the example's mark, or
after its minutes of wall clock from `surreal create`. Reported: minutes, steps and episodes to the mark, and the best
evaluation. With `--paper` the marks are those of Mania et al. 2018, table 1, of ARS alone. Every finished run is in
DIR/runs.json, and the same command with --home DIR goes on after an interruption. All figures as JSON on stdout.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

from learning.ending import SURREAL
from learning.experiments import commit, read_metrics
from learning.numbers import natural
from surreal.orchestrator.run.home import write_json

EXAMPLES = Path(__file__).parents[2] / "examples"
NEVER = float("inf")


class Goal(NamedTuple):
    """Goal of an example."""

    mark: float
    minutes: float
    title: str
    paper: float | None = None
    """Mark of the paper."""

    def of_paper(self) -> "Goal":
        """Return this goal with the mark of the paper, and twice the minutes."""
        return self if self.paper is None else self._replace(mark=self.paper, minutes=2 * self.minutes)


GOALS = {
    "cheetah-ars": Goal(2000, 4, "HalfCheetah-v5, ARS V2-t", 3430),
    "hopper-ars": Goal(1500, 5, "Hopper-v5, ARS V2-t", 3120),
    "cheetah-es": Goal(3500, 5, "HalfCheetah-v5, ES"),
    "swimmer-ars": Goal(250, 5, "Swimmer-v5, ARS V1", 325),
}
RUNS = TypeAdapter(list[dict[str, Any]])
STEPS = 10**9
"""More than the minutes are good for."""


def run(example: str, seed: int, home: Path, every: float) -> dict[str, Any]:
    """Train until the mark is reached or the minutes are over, with an evaluation every so many seconds."""
    name, goal = f"{example}-{seed}", GOALS[example]
    environment = {**os.environ, "SURREAL_HOME": str(home)}

    def surreal(*words: str) -> str:
        """Return the last of what a command that fails says."""
        done = subprocess.run([SURREAL, *words], env=environment, capture_output=True, text=True)
        return (done.stderr.strip().splitlines() or ["it failed"])[-1] if done.returncode else ""

    surreal("delete", name, "--yes")  # what an interrupted measurement has left
    config = (f"spec.algorithm.config.{key}" for key in (f"total_steps={STEPS}", f"evaluate_every_seconds={every}"))
    settings = (f"metadata.name={name}", f"spec.seed={seed}", *config)
    words = [word for setting in settings for word in ("--set", setting)]
    began = time.time()
    try:
        if error := surreal("create", "-d", str(EXAMPLES / f"{example}.yaml"), *words):
            sys.exit(f"es.curves: {example}: {error}")
        metrics = home / "experiments" / name / "metrics" / "metrics.jsonl"
        while not over(rows := read_metrics(metrics), goal, began):
            time.sleep(0.5)
    finally:  # a measurement that is cut leaves no run behind
        surreal("stop", name)
    return {"example": example, "seed": seed, "mark": goal.mark, "commit": commit(), **outcome(rows, goal, began)}


def over(rows: list[dict[str, Any]], goal: Goal, began: float) -> bool:
    """Return True if the mark is reached, or no time is left."""
    reached = any(row.get("eval_return", -NEVER) >= goal.mark for row in rows)
    return reached or time.time() - began > 60 * goal.minutes


def outcome(rows: list[dict[str, Any]], goal: Goal, began: float) -> dict[str, Any]:
    """Minutes, steps and episodes to the mark, if it was reached in time, and all evaluations."""
    curve = [[(row["time"] - began) / 60, row["steps"], row["eval_return"]] for row in rows if "eval_return" in row]
    curve = [point for point in curve if point[0] <= goal.minutes]
    reached = next((point for point in curve if point[2] >= goal.mark), None)
    steps = reached[1] if reached else max((row["steps"] for row in rows), default=0)
    return {
        "minutes": reached[0] if reached else None,
        "steps": steps,
        "episodes": max((row["episodes"] for row in rows if "episodes" in row and row["steps"] <= steps), default=0),
        "best": max((point[2] for point in curve), default=None),
        "curve": curve,
    }


def table(results: list[dict[str, Any]]) -> Table:
    """The runs, and for each example the median of the minutes, a run that did not get there being the slowest."""
    rows = Table("example", "seed", "mark", "minutes to it", "steps", "episodes", "best evaluation")
    for example, goal in GOALS.items():
        runs = [result for result in results if result["example"] == example]
        for each in runs:
            minutes = f"not in {goal.minutes:g}" if each["minutes"] is None else f"{each['minutes']:.1f}"
            best = "none" if each["best"] is None else f"{each['best']:.0f}"
            took = (f"{each['steps']:,}", f"{each['episodes']:,}")
            rows.add_row(example, str(each["seed"]), f"{goal.mark:g}", minutes, *took, best)
        if runs:
            middle = median(NEVER if each["minutes"] is None else each["minutes"] for each in runs)
            words = f"not in {goal.minutes:g}" if middle == NEVER else f"{middle:.1f}"
            middles = (f"{median(each[key] for each in runs):,.0f}" for key in ("steps", "episodes"))
            rows.add_row(example, "median", f"{goal.mark:g}", words, *middles, "")
    return rows


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """Evaluations over minutes, a panel for each example."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    examples = [example for example in GOALS if any(result["example"] == example for result in results)]
    figure, panels = pyplot.subplots(1, len(examples), figsize=(3.4 * len(examples), 3.2), squeeze=False)
    for panel, example in zip(panels[0], examples, strict=True):
        for result in results:
            if result["example"] == example and result["curve"]:
                minutes, _, returns = zip(*result["curve"], strict=True)
                panel.plot(minutes, returns, ".-", color="#1f6feb", linewidth=1.2)
        panel.axhline(GOALS[example].mark, color="#d1495b", linewidth=1, linestyle="--")
        panel.set(title=GOALS[example].title, xlabel="minutes", xlim=(0, None))
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0][0].set(ylabel="return, 5 deterministic episodes")
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def on_file(file: Path) -> list[dict[str, Any]]:
    """Return the runs of an earlier measurement to the same marks; end the program where they are of others."""
    try:
        results = RUNS.validate_json(file.read_bytes()) if file.exists() else []
        results = [each for each in results if each["example"] in GOALS]
        before = {each["commit"] for each in results} - {commit()}
    except (ValidationError, KeyError):
        sys.exit(f"es.curves: {file}: not the runs of a measurement. Delete it, or take another --home.")
    for each in results:
        goal = GOALS[each["example"]]
        if each["mark"] != goal.mark:
            words = f"{file}: its runs of {each['example']} went to {each['mark']:g}, not to {goal.mark:g}"
            sys.exit(f"es.curves: {words}. Take another --home.")
    if before:
        print(f"es.curves: {file}: runs of other commits count too: {', '.join(sorted(before))}", file=sys.stderr)
    return results


def main() -> None:
    """All runs that are not on file, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(GOALS), choices=list(GOALS))
    parser.add_argument("--seeds", type=natural, nargs="+", default=[1, 2, 3])
    parser.add_argument("--home", type=Path)
    parser.add_argument("--plot", type=Path, help="a PNG file")
    parser.add_argument("--paper", action="store_true", help="the marks of the paper; a home of its own")
    args = parser.parse_args()
    if args.plot and not args.plot.absolute().parent.is_dir():
        parser.error(f"--plot: {str(args.plot.parent)!r} is no folder")
    if args.paper:
        GOALS.update({example: goal.of_paper() for example, goal in GOALS.items()})
    # a worker plays a hundred episodes a second: marks that count them need evaluations that follow each other
    every = 0.5 if args.paper else 10.0
    home = args.home or Path(tempfile.mkdtemp(prefix="s"))
    file, talk = home / "runs.json", Console(stderr=True)
    home.mkdir(parents=True, exist_ok=True)
    results = on_file(file)
    there = {(result["example"], result["seed"]) for result in results}
    for example, seed in ((example, seed) for example in args.only for seed in args.seeds):
        if (example, seed) not in there:
            results.append(run(example, seed, home, every))
            write_json(file, results)
            talk.print(table(results[-1:]))
    talk.print(table(results))
    talk.print(f"runs: {home}")
    if args.plot:
        plot(results, args.plot)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
