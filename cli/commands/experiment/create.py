"""`surreal create`: start an experiment from a file and watch it learn."""

from pathlib import Path

import click

from surreal.cli.ui.options import experiment_options, location_options, max_cost_option, output_option
from surreal.cli.ui.output import Output, emit, talk
from surreal.cli.ui.watch import start_and_watch
from surreal.orchestrator.backends.base import THIS_MACHINE, backend
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.plan.cost import refuse_above
from surreal.orchestrator.prepare import plan_for
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import ExitCode


@click.command(name="create")
@experiment_options
@location_options
@click.option("-d", "--detach", is_flag=True, help="Start it and return at once.")
@click.option(
    "--dry-run",
    "rehearsal",
    type=click.Choice(["client", "server"]),
    help="List what would be made and make nothing; `server` has the cluster check each object.",
)
@max_cost_option
@output_option
def command(
    file: Path,
    overrides: tuple[str, ...],
    location: Location | None,
    detach: bool,
    rehearsal: str | None,
    max_cost: str | None,
    output: Output,
) -> ExitCode:
    """Start the experiment described in FILE and watch it learn.

    Ctrl-C stops watching and leaves it running. The exit code is its outcome.
    """
    place = backend(location or THIS_MACHINE)
    experiment = load_experiment(file, overrides)
    plan = plan_for(experiment, location)
    if max_cost:
        refuse_above(plan, max_cost)
    for warning in plan.warnings:
        talk(f"warning: {warning}")
    code = file.absolute().parent
    if rehearsal:
        made = place.dry_run(experiment, plan, code, ask=rehearsal == "server")
        emit(made, output, lambda: "\n".join(made))
        talk("nothing was made")
        return ExitCode.DONE

    def start() -> None:
        place.create(experiment, plan, code)

    return start_and_watch(start, place, plan.name, detach, output)
