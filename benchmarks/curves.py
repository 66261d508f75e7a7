"""Draw the learning curves of finished runs: training return and deterministic evaluations over steps and minutes.

python benchmarks/curves.py RUN_FOLDER... --title "HalfCheetah-v5" -o docs/images/cheetah-ppo.png
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

INK, TRAINING, EVALUATION = "#333333", "#1f6feb", "#d1495b"


def rows_of(run: Path) -> list[dict[str, Any]]:
    """All rows of a run's metrics, in the order they were written."""
    return [json.loads(line) for line in (run / "metrics" / "metrics.jsonl").read_text().splitlines()]


def training(rows: list[dict[str, Any]]) -> tuple[list[int], list[float], list[float]]:
    """Steps, minutes and mean training return of the rows that know it."""
    known = [row for row in rows if row["role"] == "learner/0" and row["episode_return"] is not None]
    return [r["steps"] for r in known], [r["elapsed"] / 60 for r in known], [r["episode_return"] for r in known]


def main() -> None:
    """Read the runs, draw one figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--title", required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    figure, (by_steps, by_minutes) = pyplot.subplots(1, 2, figsize=(10, 3.8), sharey=True)
    for number, run in enumerate(args.runs):
        rows = rows_of(run)
        steps, minutes, returns = training(rows)
        evaluations = [(row["steps"], row["eval_return"]) for row in rows if "eval_return" in row]
        label = {} if number else {"label": "training, mean of the last 100 episodes"}
        by_steps.plot([s / 1e6 for s in steps], returns, color=TRAINING, linewidth=1.6, **label)
        by_minutes.plot(minutes, returns, color=TRAINING, linewidth=1.6)
        label = {} if number else {"label": "evaluation, 5 deterministic episodes"}
        by_steps.plot([s / 1e6 for s, _ in evaluations], [r for _, r in evaluations], ".", color=EVALUATION, **label)
    by_steps.set(xlabel="million environment steps", ylabel="return", title=args.title)
    by_minutes.set(xlabel="minutes of wall clock", title="the same runs over time")
    by_steps.legend(frameon=False, loc="upper left", fontsize=9)
    for axis in (by_steps, by_minutes):
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(colors=INK)
    figure.tight_layout()
    figure.savefig(args.output, dpi=130)


if __name__ == "__main__":
    main()
