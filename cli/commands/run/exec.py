"""`surreal exec`: a command beside a process."""

import sys

import click

from surreal.cli.ui.options import name_argument, place_of, place_options
from surreal.orchestrator.run.location import Location


@click.command(name="exec")
@name_argument
@click.argument("process", metavar="ROLE[/INDEX]")
@click.argument("words", metavar="-- COMMAND [ARGUMENT]...", nargs=-1, required=True, type=click.UNPROCESSED)
@place_options
def command(name: str, process: str, words: tuple[str, ...], where: Location | None) -> int:
    """Run a command beside a process of the experiment NAME: in its pod, or here with its variables and its folder.

    On a terminal it is interactive: surreal exec NAME learner -- sh. The exit code is the command's.
    """
    tty = sys.stdin.isatty() and sys.stdout.isatty()
    return place_of(name, where).execute(name, process, words, tty)
