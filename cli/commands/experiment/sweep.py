"""`surreal sweep`: one experiment with many values and seeds."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from surreal.cli.ui.options import experiment_options, location_options, output_option
from surreal.cli.ui.output import UNKNOWN, Output, emit, table, talk
from surreal.cli.ui.sweep_table import how_to_come_back, sweep_data, sweep_table, watch_sweep
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import ExitCode, InvalidInput

if TYPE_CHECKING:
    from rich.table import Table

    from surreal.orchestrator.sweeps.load import Sweep

BUDGETS = {"steps": int, "hours": float, "cost": float}


@click.command(name="sweep")
@experiment_options
@click.option(
    "--name", help="Name of the sweep, which begins the names of its runs; FILE's name and -sweep if not given."
)
@click.option(
    "--seeds", type=click.IntRange(1, 1000), help="Runs of each trial, with the seed of FILE and those after."
)
@click.option(
    "--grid", metavar="KEY=V,V", multiple=True, help="Values of a key; every combination of grids is a trial."
)
@click.option(
    "--space", metavar="KEY=LOW..HIGH[,log]", multiple=True, help="Range of a key, which a sampler draws from."
)
@click.option("--trials", type=click.IntRange(1, 10_000), help="Number of trials of a space.")
@click.option("--sampler", help="random, tpe (the default of a space), gp, qmc or cmaes.")
@click.option("--pruner", help="median, halving or hyperband: end hopeless trials early.")
@click.option(
    "--parallel", type=click.IntRange(1, 1000), help="Runs at once; as many as there is room for if not given."
)
@click.option("--budget", metavar="steps=N|hours=N|cost=N", multiple=True, help="End when all runs together used this.")
@click.option("-d", "--detach", is_flag=True, help="Start it and return at once.")
@click.option("--dry-run", is_flag=True, help="Check everything and list the first trials; start nothing.")
@location_options
@output_option
def command(
    file: Path,
    overrides: tuple[str, ...],
    location: Location | None,
    detach: bool,
    dry_run: bool,
    output: Output,
    **options: Any,
) -> ExitCode:
    """Run the trials of FILE, which is of `kind: Sweep`, or an experiment with --seeds, --grid or --space.

    The runs are a group: status, stop, resume, wait, delete and compare take its name. Ctrl-C stops watching. The
    sweep survives the end of this command, and `surreal resume NAME` goes on with it after a reboot.
    """
    from surreal.orchestrator.sweeps.control import start
    from surreal.orchestrator.sweeps.inspect import inspect

    sweep = _sweep(file, overrides, options)
    if dry_run:
        inspect(sweep, location or Location())
        points = _points(sweep)
        emit(points, output, lambda: _trials(points))
        talk("nothing was made")
        return ExitCode.DONE
    folder = start(sweep, location or Location())
    if detach:
        talk(how_to_come_back(sweep.name))
        code = ExitCode.DONE
    else:
        code = watch_sweep(folder)
    if output != "table":
        emit(sweep_data(folder), output, lambda: sweep_table(folder))
    return code


def _sweep(file: Path, overrides: Sequence[str], options: dict[str, Any]) -> "Sweep":
    from surreal.orchestrator.sweeps.load import by_key, grid_option, is_sweep, load_sweep, space_option, sweep_of

    given = {key: value for key, value in options.items() if value}
    if is_sweep(file):
        if given:
            raise InvalidInput(f"--{next(iter(given))}: {file} is a sweep, which says that itself. Change the file.")
        return load_sweep(file, overrides)
    return sweep_of(
        file,
        options["name"],
        overrides,
        seeds=options["seeds"],
        grid=by_key("--grid", map(grid_option, options["grid"])),
        space=by_key("--space", map(space_option, options["space"])),
        trials=options["trials"],
        sampler=options["sampler"],
        pruner=options["pruner"],
        parallel=options["parallel"],
        budget=by_key("--budget", map(_budget, options["budget"])),
    )


def _budget(text: str) -> tuple[str, float]:
    key, _, number = text.partition("=")
    try:
        return key, BUDGETS[key](number)
    except (KeyError, ValueError):
        raise InvalidInput(f"--budget {text}: must be steps=N, hours=N or cost=N. For example: hours=2.5") from None


def _trials(points: list[dict[str, Any]]) -> "Table":
    """Return the first trials as a table, or the ranges that a sampler draws from."""
    if "space" in points[0]:
        rows = table("key", "range")
        for key, bounds in points[0]["space"].items():
            rows.add_row(key, json.dumps(bounds))
        return rows
    rows = table("trial", "runs", "values")
    for each in points:
        values = ", ".join(f"{key}={json.dumps(value)}" for key, value in each["point"].items())
        rows.add_row(str(each["trial"]), " ".join(each["runs"]), values or UNKNOWN)
    return rows


def _points(sweep: "Sweep") -> list[dict[str, Any]]:
    """Return what is known of the trials: all of a grid, none of a sampler's."""
    from surreal.orchestrator.sweeps.load import run_name
    from surreal.orchestrator.sweeps.model import grid_points

    if sweep.document.spec.space:
        return [{"space": sweep.document.model_dump(mode="json")["spec"]["space"]}]
    return [
        {"trial": number, "point": point, "runs": [run_name(sweep.name, number, seed) for seed in sweep.seeds]}
        for number, point in enumerate(grid_points(sweep.document.spec.grid))
    ]
