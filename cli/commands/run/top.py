"""`surreal top`: CPU, memory and channel rates of one experiment."""

import sys
import time

import click
from rich.console import Group, RenderableType
from rich.text import Text

from surreal.cli.ui import output as words
from surreal.cli.ui.channel_table import channel_table
from surreal.cli.ui.options import backend_of, location_options, name_argument, output_option
from surreal.cli.ui.output import Output, console, emit, show, table, talk
from surreal.orchestrator.backends.base import Backend
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.usage import RoleUsage, Usage
from surreal.protocol.documents.quantity import format_size

NEARLY_FULL = 0.9
"""Share of its memory from which a process stands out."""


@click.command(name="top")
@name_argument
@click.option("-w", "--watch", "watching", is_flag=True, help="Show it again and again until the experiment is over.")
@location_options
@output_option
def command(name: str, watching: bool, location: Location | None, output: Output) -> None:
    """Show what the processes of the experiment NAME use: CPU, memory, and what crosses the channels.

    CPU is in cores over the last seconds, memory is what is resident; the second of each pair is what the file asks
    for, and in a cluster no process gets more memory than that.
    """
    place = backend_of(name, location)
    if watching and output != "table":
        raise click.UsageError("--watch is for people; for a program: surreal top NAME -o json, as often as needed")
    usage = place.usage(name)
    if watching:
        try:
            usage = _watch(place, name, usage)
        except KeyboardInterrupt:
            return
    emit(usage.document(), output, lambda: _view(usage))
    if usage.note and output != "table":
        talk(usage.note)


def _watch(place: Backend, name: str, usage: Usage) -> Usage:
    """Show it until the run is over: in place on a terminal, one after the other elsewhere; the last one."""
    from rich.live import Live

    if not sys.stdout.isatty():
        while not usage.status.over:
            show(_view(usage))
            time.sleep(place.poll_interval)
            usage = place.usage(name)
        return usage
    with Live(_view(usage), console=console(), auto_refresh=False, transient=True) as live:
        while not usage.status.over:
            time.sleep(place.poll_interval)
            usage = place.usage(name)
            live.update(_view(usage), refresh=True)
    return usage


def _view(usage: Usage) -> RenderableType:
    head = Text.assemble((usage.status.name, "bold"), "  ", (usage.status.state, words.COLOURS[usage.status.state]))
    rows = table("role", "running", "cpu", "busiest", "memory", "largest")
    for role in usage.roles:
        rows.add_row(role.name, f"{len(role.processes)}/{role.replicas}", *_cpu(role), *_memory(role))
    notes = (Text(usage.note, "yellow"),) if usage.note else ()
    channels = ("", channel_table(usage.status.channels)) if usage.status.channels else ()
    return Group(head, "", rows, *notes, *channels)


def _cpu(role: RoleUsage) -> tuple[str, str]:
    """Return the CPU of all processes of the role together, and of the one that has the most."""
    if role.cpu is None or role.busiest is None:
        return words.UNKNOWN, words.UNKNOWN
    asked = role.cpu_asked * len(role.processes)
    most = f"{role.busiest.used.cpu:.2f} ({role.name}/{role.busiest.index})"
    return f"{role.cpu:.2f} of {asked:g}", most


def _memory(role: RoleUsage) -> tuple[str, str | Text]:
    if role.memory is None or role.largest is None:
        return words.UNKNOWN, words.UNKNOWN
    size = role.largest.used.memory or 0
    most = f"{format_size(size)} ({role.name}/{role.largest.index})"
    full = size >= NEARLY_FULL * role.memory_asked
    asked = format_size(role.memory_asked * len(role.processes))
    return f"{format_size(role.memory)} of {asked}", Text(most, "yellow") if full else most
