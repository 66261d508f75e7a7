"""`surreal wait`: block until an experiment is over."""

import time

import click

from surreal.cli.ui.options import backend_of, location_options, name_argument
from surreal.cli.ui.output import talk
from surreal.orchestrator.run.follow_status import follow_status
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.status import OUTCOMES
from surreal.protocol.errors import ExitCode, Timeout


@click.command(name="wait")
@name_argument
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(min=0), help="Give up after so long (exit code 7).")
@location_options
def command(name: str, timeout: float | None, location: Location | None) -> ExitCode:
    """Wait until the experiment NAME is over.

    Exit code: 0 succeeded, 1 failed, 6 stopped, 7 the time is up, 8 nothing was heard of it for 15 minutes.
    """
    place = backend_of(name, location)
    deadline = None if timeout is None else time.monotonic() + timeout
    status = None

    def reconcile() -> None:
        place.reconcile(name)

    for status in follow_status(lambda: place.status(name), place.poll_interval, talk, deadline, tidy=reconcile):
        if not status.over and deadline is not None and time.monotonic() >= deadline:
            break
    if status is None or not status.over:
        raise Timeout(f"{name} is {status.state if status else 'out of reach'} after {timeout:g} s; it goes on")
    # The outcome of a run that is a claim alone is known only once that was read.
    place.reconcile(name)
    status = place.status(name)
    talk(f"{name} {status.state}{': ' + status.reason if status.reason else ''}")
    return OUTCOMES[status.state]
