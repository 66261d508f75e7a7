"""`surreal stop`: end an experiment so that it can be resumed."""

import click

from surreal.cli.ui.options import name_argument, place_of, place_options
from surreal.cli.ui.output import talk
from surreal.orchestrator.run.location import Location


@click.command(name="stop")
@name_argument
@place_options
def command(name: str, where: Location | None) -> None:
    """Stop the experiment NAME after a checkpoint; every process is gone when this returns."""
    place = place_of(name, where)
    if place.stop(name):
        talk(f"{name} {place.status(name).state}; go on with surreal resume {name}")
    else:
        talk(f"{name} does not run: it {_is(place.status(name).state)}")


def _is(state: str) -> str:
    return f"has {state}" if state in ("succeeded", "failed") else f"is {state}"
