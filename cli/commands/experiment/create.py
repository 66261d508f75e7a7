"""`surreal create`: start an experiment from a file and watch it learn."""

from pathlib import Path

import click

from surreal.cli.ui.options import experiment_options, max_cost_option, output_option, place_options
from surreal.cli.ui.output import Output, emit, talk
from surreal.cli.ui.watch import start_and_watch
from surreal.orchestrator.backends.base import HERE, backend
from surreal.orchestrator.experiment.model import load_experiment
from surreal.orchestrator.plan.cost import refuse_above
from surreal.orchestrator.prepare import plan_for
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import ExitCode


@click.command(name="create")
@experiment_options
@place_options
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
    where: Location | None,
    detach: bool,
    rehearsal: str | None,
    max_cost: str | None,
    output: Output,
) -> ExitCode:
    """Start the experiment described in FILE and watch it learn.

    Ctrl-C stops watching and leaves it running. The exit code is its outcome.
    """
    place = backend(where or HERE)
    experiment = load_experiment(file, overrides)
    plan = plan_for(experiment, where)
    if max_cost:
        refuse_above(plan, max_cost)
    for warning in plan.warnings:
        talk(f"warning: {warning}")
    code = file.absolute().parent
    if rehearsal:
        made = place.rehearse(experiment, plan, code, ask=rehearsal == "server")
        emit(made, output, lambda: "\n".join(made))
        talk("nothing was made")
        return ExitCode.DONE

    def start() -> None:
        place.create(experiment, plan, code)

    return start_and_watch(start, place, plan.name, detach, output)
