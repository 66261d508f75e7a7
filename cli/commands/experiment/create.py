"""`surreal create`: start an experiment from a file and watch it."""

from pathlib import Path

import click

from surreal.cli.ui.options import experiment_options, location_options, machine_options, max_cost_option, output_option
from surreal.cli.ui.output import Output, emit, talk, warn
from surreal.cli.ui.watch import start_and_watch
from surreal.orchestrator.client import Client, plan_for
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.inventory import Machines
from surreal.orchestrator.plan.cost import refuse_above
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import ExitCode


@click.command(name="create")
@experiment_options
@location_options
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
    file: Path,
    overrides: tuple[str, ...],
    location: Location | None,
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
    experiment = load_experiment(file, overrides)
    plan = plan_for(experiment, Machines(client.location, pools, prices))
    if max_cost:
        refuse_above(plan, max_cost)
    warn(plan.warnings)
    if dry_run:
        made = client.dry_run(experiment, plan, server=dry_run == "server")
        emit(made, output, lambda: "\n".join(made))
        talk("nothing was made")
        return ExitCode.DONE
    return start_and_watch(lambda: client.create(experiment, plan), client.backend, plan.name, detach, output)
