"""Return over updates as actors are added: every update has the data of k actors, for k = 1, 2, 4, 8, 16.

    python benchmarks/scaling.py --home DIR --task robosuite/Lift --updates 100 --copies 2 --scale 1 2 4 8 16

One process steps k times `--copies` environments in place of k actors, so that few cores can show it. All runs make the
same number of updates by PPO's defaults. **The wall clock is simulated**: if every actor has a core of its own, an
update takes what it takes with one actor, or the learner's seconds if these are more; both are measured here. Runs
that are cut go on by the same command. The table goes to stdout, rows into DIR/rows.
"""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

from learning.experiments import read_metrics
from learning.numbers import count, natural, positive
from learning.rows import Row, read_rows
from learning.running import run_missing, sentence
from learning.scheduler import Clock, talk
from learning.table import Budget, Cell, Contestant
from learning.thresholds import NEVER, reached
from surreal.algorithms.ppo.config import PPOConfig
from surreal.protocol.errors import SurrealError

INVALID, UNFINISHED = 2, 6
SHARES = (0.25, 0.5, 1.0)
"""Shares of the updates after which returns are shown."""


class Seconds(NamedTuple):
    """Mean seconds of an update, of all of it and of the learner alone."""

    whole: float
    learner: float


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="folder of rows and experiments")
    parser.add_argument("--task", default="robosuite/Lift")
    parser.add_argument("--scale", type=count, nargs="+", default=[1, 2, 4, 8, 16], metavar="ACTORS")
    parser.add_argument("--updates", type=count, default=100)
    parser.add_argument("--copies", type=count, default=2, help="environments of one actor")
    parser.add_argument("--seeds", type=natural, nargs="+", default=[1])
    parser.add_argument("--episodes", type=count, default=10, help="of one evaluation")
    parser.add_argument("--every", type=positive, default=600.0, metavar="SECONDS", help="between evaluations of a run")
    parser.add_argument("--parallel", type=count, default=1, help="runs at once")
    parser.add_argument("--minutes", type=positive, help="stop what runs after that long, to go on another time")
    args = parser.parse_args(words)
    args.scale = sorted({1, *args.scale})
    return args


def cell(args: argparse.Namespace, actors: int, seed: int) -> Cell:
    """Return the run with the data of so many actors."""
    copies = args.copies * actors
    steps = args.updates * copies * fragment_steps()
    budget = Budget(steps, copies, 1, args.episodes, args.every)
    # A setting that is the default: a contestant of another name has a command only with one.
    who = Contestant(f"ppo-x{actors}", "ppo", (("fragment_steps", str(fragment_steps())),))
    return Cell(who, args.task, seed, budget)


def fragment_steps() -> int:
    """Return the steps that each environment takes for an update."""
    return int(PPOConfig.model_fields["fragment_steps"].default)


def seconds(cells: Sequence[Cell], home: Path) -> Seconds:
    """Return the means over the runs of `cells`, from their metrics."""
    folders = [home / "surreal" / "experiments" / cell.name for cell in cells]
    found = [_seconds(folder / "metrics" / "metrics.jsonl") for folder in folders]
    return Seconds(mean(each.whole for each in found), mean(each.learner for each in found))


def _seconds(path: Path) -> Seconds:
    rows = [row for row in read_metrics(path) if "share_learning" in row]
    if not rows:
        raise ValueError(
            f"{path}: no learner's seconds, of which the wall clock is made. Delete its row to run it anew."
        )
    before, learner = 0.0, 0.0
    for row in rows:
        learner += row["share_learning"] * (row["elapsed"] - before)
        before = row["elapsed"]
    return Seconds(before / rows[-1]["updates"], learner / rows[-1]["updates"])


def finished(home: Path, cells: Sequence[Cell]) -> list[Row]:
    """Return the rows of `cells`. Raise ValueError where one failed, or ended before its first episode."""
    rows = {row.key: row for row in read_rows(home / "rows")}
    for each in cells:
        if rows[each.key].figure("training") is None:
            reason = rows[each.key].reason or "no episode was over. Set more --updates"
            raise ValueError(f"{each.name}: {reason}. To run it anew, delete its row.")
    return [rows[each.key] for each in cells]


def table(args: argparse.Namespace) -> list[str]:
    """Return a line for each number of actors."""
    scale = {k: [cell(args, k, seed) for seed in args.seeds] for k in args.scale}
    runs = {k: finished(args.home, cells) for k, cells in scale.items()}
    times = {k: seconds(cells, args.home) for k, cells in scale.items()}
    goal = mean(_returns(runs[1], "training"))
    head = [f"return at {round(share * args.updates)} updates" for share in SHARES]
    head = ["actors", "steps of an update", *head, "evaluation, last weights", f"updates to {goal:,.1f}"]
    head += ["learner's seconds of an update", "simulated minutes"]
    lines = [_line(head), _line(["--:"] * len(head))]
    for k in args.scale:
        batch = k * args.copies * fragment_steps()
        minutes = args.updates * max(times[1].whole, times[k].learner) / 60
        cells = [_mean(_returns_at(runs[k], share * args.updates * batch)) for share in SHARES]
        updates = [reached(row, goal)[0] / batch for row in runs[k]]
        cells += [_mean(_returns(runs[k], "last")), "never" if median(updates) == NEVER else f"{median(updates):,.0f}"]
        lines.append(_line([str(k), f"{batch:,}", *cells, f"{times[k].learner:.2f}", f"{minutes:.1f}"]))
    return lines


def _returns_at(runs: Sequence[Row], steps: float) -> list[float]:
    """The training returns of `runs` after so many steps; of a run in which no episode was over, none."""
    points = [[value for at, _, value in row.curve if at <= steps] for row in runs]
    return [values[-1] for values in points if values]


def _returns(runs: Sequence[Row], figure: str) -> list[float]:
    return [value for row in runs if (value := row.figure(figure)) is not None]


def _mean(values: Sequence[float]) -> str:
    return f"{mean(values):,.1f}" if values else "-"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def said(args: argparse.Namespace) -> Iterator[str]:
    """Yield the words above the table."""
    seeds = ", ".join(str(seed) for seed in args.seeds)
    yield f"PPO on {args.task}, {args.updates} updates, seeds {seeds}; an actor has {args.copies} environments."
    yield "Returns are training returns. The wall clock is simulated: each actor would have a core of its own."


def main() -> int:
    """Run and report. The exit code is 0, 2 for wrong input, 6 where runs are left."""
    args = arguments()
    clock = Clock(args.minutes)
    clock.stops_at(signal.SIGINT, signal.SIGTERM)
    wanted = [cell(args, actors, seed) for seed in args.seeds for actors in args.scale]
    try:
        left = run_missing(wanted, args.home, clock, parallel=args.parallel)
        if not left:
            print("\n".join([*said(args), "", *table(args)]))
    except (ValueError, OSError, SurrealError) as error:
        talk.print(f"scaling: {sentence(error)}", markup=False)
        return INVALID
    return UNFINISHED if left else 0


if __name__ == "__main__":
    sys.exit(main())
