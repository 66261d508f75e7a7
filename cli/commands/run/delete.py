"""`surreal delete`: end an experiment and remove all that is left of it."""

import sys

import click

from surreal.cli.ui.options import names_argument, place_of, place_options
from surreal.cli.ui.output import talk
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import ExitCode, InvalidInput


@click.command(name="delete")
@names_argument
@place_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask, even when it runs.")
def command(names: tuple[str, ...], yes: bool, where: Location | None) -> ExitCode:
    """End the experiments NAME... at once and remove their logs, metrics and checkpoints."""
    places = {name: place_of(name, where) for name in names}
    running = [name for name, place in places.items() if not place.status(name).over]
    if running and not yes and not _agreed(running):
        talk("nothing was deleted")
        return ExitCode.FAILED
    for name, place in places.items():
        place.delete(name)
        talk(f"deleted {name}")
    return ExitCode.DONE


def _agreed(running: list[str]) -> bool:
    """Does the person want it all the same? Raises InvalidInput where there is nobody to ask."""
    if not sys.stdin.isatty():
        raise InvalidInput(f"{', '.join(running)} still runs: give --yes to delete it all the same")
    return click.confirm(f"{', '.join(running)} still runs. End it and remove all it has learned?", err=True)
