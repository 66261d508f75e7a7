"""`surreal offline`: the suite of datasets, and methods scored on it."""

import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from surreal.cli.ui.options import Number, output_option, policy_options
from surreal.cli.ui.output import Output, emit, foreign_words_apart, json_text, number, table, talk
from surreal.protocol.errors import InvalidInput

if TYPE_CHECKING:
    from rich.table import Table

    from surreal.orchestrator.run.results import Which
    from surreal.orchestrator.saved_run import SavedRun

task_option = click.option(
    "--task",
    "patterns",
    metavar="TASK",
    multiple=True,
    help="A task, an environment, tuning or held-out; all if not given. May be repeated.",
)
data_option = click.option(
    "--data", type=click.Path(path_type=Path), default=Path("datasets"), show_default=True, help="Folder of the data."
)


@click.group(name="offline")
def command() -> None:
    """Make the offline suite's datasets, and score methods on it.

    Values are chosen on its tuning tasks and scored on those that are held out.
    """


@command.command()
@task_option
@output_option
def tasks(patterns: tuple[str, ...], output: Output) -> None:
    """List the tasks: name, environment, side, size."""
    from surreal.orchestrator.offline.tasks import chosen

    rows = [
        {
            "task": each.name,
            "env": each.source.env,
            "split": each.source.split,
            "size": f"{each.source.episodes:,} episodes" if each.source.episodes else f"{each.source.steps:,} steps",
        }
        for each in chosen(patterns)
    ]
    emit(rows, output, lambda: _table(rows))


@command.command()
@task_option
@data_option
@click.option("--run", metavar="NAME", help="Take policies of this run; without it one is trained where needed.")
def generate(patterns: tuple[str, ...], data: Path, run: str | None) -> None:
    """Record the datasets that are not there yet, from stored seeds."""
    from surreal.orchestrator.offline.generate import generate as make
    from surreal.orchestrator.offline.tasks import chosen

    for folder in make(chosen(patterns), data, run, talk):
        talk(str(folder))


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@task_option
@data_option
@click.option("--seeds", type=click.IntRange(1, 100), default=5, show_default=True, help="Runs of each task.")
@click.option("--grid", metavar="KEY=V,V", multiple=True, help="Values to choose from, on tuning tasks alone.")
@click.option("--report", type=click.Path(path_type=Path), help="Write all scores to this file, as JSON.")
@output_option
def suite(
    file: Path,
    patterns: tuple[str, ...],
    data: Path,
    seeds: int,
    grid: tuple[str, ...],
    report: Path | None,
    output: Output,
) -> None:
    """Run the method of the experiment FILE on tasks, and print normalised scores, last and best apart.

    With --grid every combination is run, and the best by last scores is named; held-out tasks are refused then.
    """
    from surreal.orchestrator.offline.suite import run_suite
    from surreal.orchestrator.offline.tasks import chosen
    from surreal.orchestrator.sweeps.load import by_key, grid_option

    if report is not None and (report.is_dir() or not report.parent.is_dir()):
        raise InvalidInput(f"--report: {str(report)!r} is no file in a folder that is there. Make its folder first.")
    with foreign_words_apart():
        found = run_suite(file, data, chosen(patterns), seeds, by_key("--grid", map(grid_option, grid)), talk)
    if report is not None:
        report.write_text(json_text(found, indent=1))
    emit(found, output, lambda: _scores(found))


@command.command()
@policy_options
@click.option("--dataset", required=True, help="Dataset that the value is estimated from, as in spec.algorithm.config.")
@click.option("--gamma", type=Number(0, 1), default=0.99, show_default=True, help="Discount.")
@click.option("--updates", type=click.IntRange(1, 10**7), default=5_000, show_default=True, help="Updates of fitted Q.")
@click.option("--seeds", type=click.IntRange(0, 100), default=3, show_default=True, help="Runs of fitted Q.")
@click.option("--steps", type=click.IntRange(1, 10**8), default=200_000, show_default=True, help="Steps that are used.")
@click.option("--true", "episodes", type=click.IntRange(0, 10**6), default=50, show_default=True, help="True episodes.")
@output_option
def estimate(
    saved: "SavedRun",
    which: "Which",
    code: Path | None,
    dataset: str,
    gamma: float,
    updates: int,
    seeds: int,
    steps: int,
    episodes: int,
    output: Output,
) -> None:
    """Estimate the value of NAME's policy from a dataset alone, beside that of true episodes (0 for none).

    Values are mean discounted returns from the first observations, the likeliest actions taken.
    """
    from surreal.algorithms.datasets.opening import open_dataset
    from surreal.algorithms.exporting.estimate import Estimating, estimates
    from surreal.algorithms.offline.estimation import Fitting
    from surreal.algorithms.policies import Policy

    policy = saved.policy(which, code)
    if not isinstance(policy, Policy):
        raise InvalidInput(f"{saved.name}: an exported policy does not say its environment. Name its run.")
    settings = Estimating(Fitting(gamma=gamma, updates=updates), seeds, steps, episodes)
    with closing(open_dataset(dataset)) as opened, foreign_words_apart():
        found = estimates(policy, opened, policy.about["env"], settings, code or "")
    emit(found, output, lambda: _estimates(found))


@command.command()
@click.argument("source")
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="Folder of the new dataset.")
@click.option("--id", "dataset_id", metavar="NAME/NAME-v0", help="Id in minari; made of the run's name if not given.")
def collect(source: str, folder: Path, dataset_id: str | None) -> None:
    """Make a Minari dataset of what the actors of a run recorded.

    SOURCE is a run with spec.record, or its folder of journals. The run may still go on.
    """
    from surreal.algorithms.datasets.opening import open_dataset
    from surreal.algorithms.datasets.recordings import collect as make
    from surreal.orchestrator.recorded import actors_folder

    place, name = actors_folder(source)
    with closing(open_dataset(str(make(place, folder, dataset_id or f"{name}/{folder.name}-v0")))) as made:
        talk(f"{folder}: {made.about.episodes:,} episodes, {made.about.steps:,} steps of {made.about.env_id}")


def _estimates(found: dict[str, Any]) -> "Table":
    rows = table("method", "value", "error")
    for row in found["estimates"]:
        rows.add_row(row["method"], f"{row['value']:.3f}", "" if row["error"] is None else f"{row['error']:+.3f}")
    rows.add_row(f"recorded, {found['episodes']:,} episodes", f"{found['recorded']:.3f}", "")
    if found["true"] is not None:
        rows.add_row("true", f"{found['true']:.3f}", "")
    return rows


def _table(rows: Iterable[dict[str, Any]]) -> "Table":
    found = table("task", "environment", "side", "size")
    for row in rows:
        found.add_row(*row.values())
    return found


def _scores(found: dict[str, Any]) -> "Table":
    rows = table("task", "seeds", "last", "best")
    for task, row in found["tasks"].items():
        rows.add_row(task, number(row["seeds"]), number(row["last"], 1), number(row["best"], 1))
    for which in ("last", "best"):
        whole = found["all"][which]
        limits = whole["interval"]
        said = "" if limits is None else f" ({limits[0]:.1f} to {limits[1]:.1f})"
        figures = f"{whole['iqm']:.1f}{said}"
        rows.add_row(f"interquartile mean, {which}", "", *((figures, "") if which == "last" else ("", figures)))
    if "chosen" in found:
        rows.add_row(f"chosen: {json.dumps(found['chosen'])}", "", "", "")
    return rows
