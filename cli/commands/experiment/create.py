"""`surreal create`: start an experiment from a file and watch it."""

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from surreal.cli.ui.options import (
    experiment_options,
    location_options,
    machine_options,
    max_cost_option,
    named,
    output_option,
)
from surreal.cli.ui.output import Output, emit, talk, warn
from surreal.orchestrator.client import Client
from surreal.orchestrator.planning import plan_for
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import ExitCode

if TYPE_CHECKING:
    from surreal.orchestrator.experiment.experiment import Experiment
    from surreal.orchestrator.plan.model import Plan
    from surreal.orchestrator.starting_point import StartingPoint


@click.command(name="create")
@experiment_options
@location_options
@click.option(
    "--from",
    "source",
    metavar="NAME[@STEP]",
    help="Begin from a checkpoint of another run, the newest by default; without FILE as a fork of that run.",
)
@click.option("-d", "--detach", is_flag=True, help="Start it and return at once.")
@click.option(
    "--dry-run",
    type=click.Choice(["client", "server"]),
    is_flag=False,
    flag_value="client",
    help="List the objects without making them; `server` has the cluster check each one.",
)
@machine_options
@max_cost_option
@output_option
def command(
    file: Path | None,
    overrides: tuple[str, ...],
    location: Location | None,
    source: str | None,
    detach: bool,
    dry_run: str | None,
    pools: Path | None,
    prices: Path | None,
    max_cost: str | None,
    output: Output,
) -> ExitCode:
    """Start the experiment described in FILE and watch it.

    Ctrl-C stops watching; the run continues. The exit code is its outcome.
    """
    client = Client.at(location or Location())
    with ExitStack() as stack:
        if not dry_run:
            stack.enter_context(client.backend.prepared())
        # These take a while to import, and what is being prepared goes on beside.
        from surreal.cli.ui.watch import start_and_watch
        from surreal.orchestrator.experiment.load import load_experiment
        from surreal.orchestrator.inventory import Machines
        from surreal.orchestrator.plan.cost import refuse_above

        point = _starting_point(source) if source else None
        experiment = point.experiment(overrides) if point and not file else load_experiment(named(file), overrides)
        plan = plan_for(experiment, Machines(client.location, pools, prices))
        if max_cost:
            refuse_above(plan, max_cost)
        start = point.prepare(experiment) if point else None
        if start:
            stack.callback(shutil.rmtree, start, ignore_errors=True)
        if dry_run:
            made = client.dry_run(experiment, plan, server=dry_run == "server")
            warn(plan.warnings)
            emit(made, output, lambda: "\n".join(made))
            talk("nothing was made")
            return ExitCode.DONE
        return start_and_watch(
            lambda: _begin(client, experiment, plan, start), client.backend, plan.name, detach, output
        )


def _begin(client: Client, experiment: "Experiment", plan: "Plan", start: Path | None) -> None:
    client.create(experiment, plan, start=start)
    # A run that is refused, such as one whose name is taken, is no matter for warnings.
    warn(plan.warnings)


def _starting_point(source: str) -> "StartingPoint":
    # a new run from nothing needs none of it
    from surreal.orchestrator.starting_point import StartingPoint

    return StartingPoint.find(source)
