"""`surreal list`: the experiments."""

import click
from rich.console import RenderableType
from rich.text import Text

from surreal.cli.ui import format as words
from surreal.cli.ui.options import output_option, place_options
from surreal.cli.ui.output import Output, emit, table, talk
from surreal.orchestrator.backends.base import HERE, backend
from surreal.orchestrator.run.location import Location, noted
from surreal.orchestrator.run.status import Status


@click.command(name="list")
@place_options
@output_option
def command(where: Location | None, output: Output) -> None:
    """List the experiments, the newest last: those of this machine, or with --on kube of a cluster."""
    place = backend(where or HERE)
    found = sorted((place.status(name) for name in place.names()), key=lambda status: status.created)
    if not where and (elsewhere := noted()):
        talk(f"in clusters: {', '.join(elsewhere)}; see surreal list --on kube")
    if not found and output == "table":
        talk("no experiments yet: surreal create examples/cheetah-ppo.yaml")
        return
    emit([status.document() for status in found], output, lambda: _table(found))


def _table(found: list[Status]) -> RenderableType:
    rows = table("name", "state", "steps", "steps/s", "return", "age")
    for status in found:
        now = status.progress
        state = Text(status.state, words.COLOURS[status.state])
        speed = words.number(now.steps_per_second)
        rows.add_row(
            status.name, state, words.steps(now), speed, words.number(now.episode_return, 1), words.age(status.created)
        )
    return rows
