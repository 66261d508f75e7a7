"""`surreal logs`: what the processes of an experiment say."""

import os
import sys
from zlib import crc32

import click

from surreal.cli.names import name_argument
from surreal.orchestrator.backend import LogLine, backend

COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")


@click.command(name="logs")
@name_argument
@click.argument("process", metavar="[ROLE[/INDEX]]", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until the experiment is over.")
@click.option("--tail", metavar="N", type=click.IntRange(min=0), help="Only the last N lines.")
def command(name: str, process: str | None, follow: bool, tail: int | None) -> None:
    """Print the logs of the experiment NAME: of one role, one process, `supervisor`, or all merged by time.

    Each line begins with the process it comes from. All attempts of a process are shown.
    """
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for line in backend().logs(name, process, tail, follow):
        click.echo(_prefixed(line, coloured))


def _prefixed(line: LogLine, coloured: bool) -> str:
    """The line behind its source; a source always has the same colour."""
    prefix = f"{line.source:<11}|"
    if coloured:
        prefix = click.style(prefix, fg=COLOURS[crc32(line.source.encode()) % len(COLOURS)])
    return f"{prefix} {line.text}"
