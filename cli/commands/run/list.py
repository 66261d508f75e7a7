"""`surreal list`: the experiments."""

import click
from rich.console import Group, RenderableType
from rich.text import Text

from surreal.cli.ui import output as words
from surreal.cli.ui.options import location_options, output_option
from surreal.cli.ui.output import Output, emit, table, talk
from surreal.orchestrator.backends.base import THIS_MACHINE, backend
from surreal.orchestrator.run.location import Location, remembered
from surreal.orchestrator.run.status import Status, label_test


@click.command(name="list")
@click.option(
    "-l",
    "--selector",
    metavar="LABELS",
    default="",
    help="Only runs with these metadata.labels: team=rl,stage!=test or 'team in (rl, vision)'.",
)
@location_options
@output_option
def command(selector: str, location: Location | None, output: Output) -> None:
    """List the experiments, the newest last: those of this machine, or with --on kube or --on ray of a cluster."""
    chosen = label_test(selector) if selector else None
    place = backend(location or THIS_MACHINE)
    found = sorted(place.statuses(), key=lambda status: status.created)
    shown = [status for status in found if not chosen or chosen(status.labels)]
    if not location and (elsewhere := remembered()):
        places = sorted({f"--on {place.on}" for noted in elsewhere.values() for place in noted})
        talk(f"in clusters: {', '.join(elsewhere)}; see surreal list {' or '.join(places)}")
    if not shown and output == "table":
        nothing = "no experiments yet: surreal create examples/cheetah-ppo.yaml"
        talk(f"none of {len(found)} experiments has the labels {selector}" if found else nothing)
        return
    emit([status.document() for status in shown], output, lambda: _table(shown))


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
