"""`surreal list`: the experiments."""

from collections.abc import Iterator

import click
from rich.console import Group, RenderableType
from rich.text import Text

from surreal.cli.ui import output as words
from surreal.cli.ui.options import location_options, output_option
from surreal.cli.ui.output import Output, emit, table, talk
from surreal.orchestrator.backends.base import THIS_MACHINE, Backend, backend
from surreal.orchestrator.run.location import Location, remembered
from surreal.orchestrator.run.status import Status
from surreal.protocol.errors import NotFound


@click.command(name="list")
@location_options
@output_option
def command(location: Location | None, output: Output) -> None:
    """List the experiments, the newest last: those of this machine, or with --on kube of a cluster."""
    place = backend(location or THIS_MACHINE)
    found = sorted(statuses(place), key=lambda status: status.created)
    if not location and (elsewhere := remembered()):
        talk(f"in clusters: {', '.join(elsewhere)}; see surreal list --on kube")
    if not found and output == "table":
        talk("no experiments yet: surreal create examples/cheetah-ppo.yaml")
        return
    emit([status.document() for status in found], output, lambda: _table(found))


def statuses(place: Backend) -> Iterator[Status]:
    """Yield the status of every run; one that is deleted meanwhile is left out, one that cannot be read is said."""
    for name in place.names():
        try:
            yield place.status(name)
        except NotFound:
            continue
        except (OSError, ValueError) as error:
            talk(f"{name}: {error}")


def _table(found: list[Status]) -> RenderableType:
    rows = table("name", "state", "steps", "steps/s", "return", "age")
    for status in found:
        now = status.progress
        state = Text(status.state, words.COLOURS[status.state])
        speed = words.number(now.steps_per_second)
        rows.add_row(
            status.name, state, words.steps(now), speed, words.number(now.episode_return, 1), words.age(status.created)
        )
    notes = [f"{status.name}: {status.reason.splitlines()[0]}" for status in found if status.reason]
    return Group(rows, "", *(Text(note) for note in notes)) if notes else rows
