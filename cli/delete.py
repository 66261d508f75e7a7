"""`surreal delete`: end an experiment and remove all that is left of it."""

import sys

import click

from surreal.cli.names import names_argument
from surreal.cli.output import talk
from surreal.orchestrator.backend import backend
from surreal.protocol.errors import InvalidInput


@click.command(name="delete")
@names_argument
@click.option("-y", "--yes", is_flag=True, help="Do not ask, even when it runs.")
def command(names: tuple[str, ...], yes: bool) -> None:
    """End the experiments NAME... at once and remove their logs, metrics and checkpoints."""
    place = backend()
    running = [name for name in dict.fromkeys(names) if not place.status(name).over]
    if running and not yes:
        _ask(running)
    for name in dict.fromkeys(names):
        place.delete(name)
        talk(f"deleted {name}")


def _ask(running: list[str]) -> None:
    """Go on only if the person says so. Raises InvalidInput where there is nobody to ask, click.Abort on a no."""
    if not sys.stdin.isatty():
        raise InvalidInput(f"{', '.join(running)} still runs: give --yes to delete it all the same")
    click.confirm(f"{', '.join(running)} still runs. End it and remove all it has learned?", abort=True, err=True)
