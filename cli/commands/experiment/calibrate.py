"""`surreal calibrate`: measure what a step of an experiment costs on this machine."""

from pathlib import Path

import click

from surreal.cli.ui.options import experiment_options, location_options, named, output_option
from surreal.cli.ui.output import Output, emit, table, talk
from surreal.orchestrator.run.location import Location


@click.command(name="calibrate")
@experiment_options
@click.option("--seconds", type=click.FloatRange(5, 600), default=20.0, show_default=True, help="Its length.")
@location_options
@output_option
def command(
    file: Path | None, overrides: tuple[str, ...], seconds: float, location: Location | None, output: Output
) -> None:
    """Measure what a step of FILE costs, by a short run of one actor and one learner, and keep it.

    `surreal plan` then predicts the speed of FILE with any number of processes. Calibrate where the run will be.
    """
    from surreal.orchestrator.client import Client
    from surreal.orchestrator.prediction.measure import calibrate

    path = named(file)
    found = calibrate(Client.at(location or Location()), path, overrides, seconds, talk)
    where = found.write()
    rows = table("role", "microseconds a step", "of a core", "spread")
    for role, times in found.services.items():
        rows.add_row(role, f"{times.seconds * 1e6:,.1f}", f"{times.cpu * 1e6:,.1f}", f"{times.spread:.0%}")
    emit({**found.to_data(), "file": str(where)}, output, lambda: rows)
    talk(f"kept in {where}: surreal plan {path} predicts from it")
