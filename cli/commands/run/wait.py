"""`surreal wait`: block until an experiment is over."""

import time

import click

from surreal.cli.ui.options import name_argument, place_of, place_options
from surreal.cli.ui.output import talk
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.status import OUTCOMES
from surreal.protocol.errors import ExitCode, Timeout

LOOK_SECONDS = 0.2


@click.command(name="wait")
@name_argument
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(min=0), help="Give up after so long (exit code 7).")
@place_options
def command(name: str, timeout: float | None, where: Location | None) -> ExitCode:
    """Wait until the experiment NAME is over.

    Exit code: 0 succeeded, 1 failed, 6 stopped, 7 the time is up.
    """
    place = place_of(name, where)
    deadline = None if timeout is None else time.monotonic() + timeout
    while not (status := place.status(name)).over:
        if deadline is not None and time.monotonic() >= deadline:
            raise Timeout(f"{name} is still {status.state} after {timeout:g} s; it goes on")
        time.sleep(LOOK_SECONDS)
    talk(f"{name} {status.state}{': ' + status.reason if status.reason else ''}")
    return OUTCOMES[status.state]
