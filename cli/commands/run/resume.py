"""`surreal resume`: go on from the last checkpoint."""

import click

from surreal.cli.ui.options import name_argument, output_option, place_of, place_options
from surreal.cli.ui.output import Output
from surreal.cli.ui.watch import start_and_watch
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import ExitCode


@click.command(name="resume")
@name_argument
@click.option("-d", "--detach", is_flag=True, help="Start it and return at once.")
@place_options
@output_option
def command(name: str, detach: bool, where: Location | None, output: Output) -> ExitCode:
    """Go on with the stopped or failed experiment NAME from its last checkpoint, and watch it.

    Ctrl-C stops watching and leaves it running. The exit code is its outcome.
    """
    place = place_of(name, where)
    return start_and_watch(lambda: place.resume(name), place, name, detach, output)
