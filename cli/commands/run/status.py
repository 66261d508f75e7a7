"""`surreal status`: the state of one experiment."""

from itertools import groupby
from operator import attrgetter

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from surreal.cli.ui import output as words
from surreal.cli.ui.channel_table import channel_table
from surreal.cli.ui.options import backend_of, location_options, name_argument, output_option
from surreal.cli.ui.output import Output, emit, table, talk
from surreal.cli.ui.watch import how_to_come_back, summary, watch
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.status import Status


@click.command(name="status")
@name_argument
@click.option("-w", "--watch", "watching", is_flag=True, help="Show it live until it is over.")
@location_options
@output_option
def command(name: str, watching: bool, location: Location | None, output: Output) -> None:
    """Show the state of the experiment NAME and of each of its processes."""
    place = backend_of(name, location)
    if not watching:
        status = place.status(name)
        emit(status.document(), output, lambda: _table(status))
        return
    if output != "table":
        raise click.UsageError("--watch is for people; for a program: surreal wait NAME, then surreal status NAME")
    try:
        talk(summary(watch(place, name)))
    except KeyboardInterrupt:
        talk(f"\n{how_to_come_back(name)}")


def _table(status: Status) -> RenderableType:
    facts = Table.grid(padding=(0, 3, 0, 0))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("name", status.name)
    facts.add_row("state", Text(status.state, words.COLOURS[status.state]))
    if status.reason:
        facts.add_row("reason", status.reason)
    for label, value in words.facts(status).items():
        facts.add_row(label, value)
    facts.add_row("folder", status.folder)
    rows = table("role", "index", "state", "restarts", "pid", "node")
    for role, processes in status.roles.items():
        for same, group in groupby(processes, attrgetter("state", "restarts", "node", "reason")):
            state, restarts, node, _ = same
            alike = list(group)
            first, last = alike[0], alike[-1]
            which = str(first.index) if first is last else f"{first.index}-{last.index}"
            pid = words.UNKNOWN if first.pid is None or first is not last else str(first.pid)
            rows.add_row(role, which, state, str(restarts), pid, node)
    return Group(facts, "", rows, *(("", channel_table(status.channels)) if status.channels else ()))
