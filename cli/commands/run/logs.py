"""`surreal logs`: what the processes of an experiment say."""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

import click

from surreal.cli.ui.options import backend_of, location_options, name_argument, output_option, process_argument
from surreal.cli.ui.output import Output, emit
from surreal.orchestrator.run.describe import plain_line
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.log_files import LogLine

COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@click.command(name="logs")
@name_argument
@process_argument(required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until the experiment is over.")
@click.option("--tail", metavar="N", type=click.IntRange(min=0), help="Only the last N lines.")
@click.option("--since", metavar="TIME", help="Only lines since then: 90s, 5m, 2h, 1d ago, or 2026-05-01T12:00:00Z.")
@click.option("--timestamps", is_flag=True, help="Begin each line with its time in UTC.")
@output_option
@location_options
def command(
    name: str,
    process: str | None,
    follow: bool,
    tail: int | None,
    since: str | None,
    timestamps: bool,
    output: Output,
    location: Location | None,
) -> None:
    """Print the logs of the experiment NAME: of one role, one process, `supervisor`, or all merged by time.

    Each line begins with the process it comes from. All attempts of a process are shown. With -f, -o json prints one
    object a line as it comes.
    """
    if follow and output == "yaml":
        raise click.UsageError("-f goes with -o json (one object a line), not with yaml")
    begin = _moment(since) if since else None
    lines = _since(backend_of(name, location).logs(name, process, tail, follow), begin)
    if output == "table":
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        for line in lines:
            click.echo(_prefixed(line, coloured, timestamps))
    elif follow:
        for line in lines:
            click.echo(json.dumps(_document(line), ensure_ascii=False))
    else:
        emit([_document(line) for line in lines], output, table=str)


def _since(lines: Iterable[LogLine], begin: datetime | None) -> Iterator[LogLine]:
    """Yield the lines that are not older; one without a time goes with the one before it."""
    shown = begin is None
    for line in lines:
        shown = shown if line.at is None else begin is None or line.at >= begin
        if shown:
            yield line


def _moment(text: str) -> datetime:
    """Read `5m` as 5 minutes ago, or a time in ISO 8601, by default in UTC. Raises click's UsageError."""
    ago = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if ago:
        return datetime.now(UTC) - timedelta(seconds=int(ago[1]) * UNITS[ago[2]])
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--since {text!r}: write 90s, 5m, 2h or 1d, or a time: 2026-05-01T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _document(line: LogLine) -> dict[str, Any]:
    return {"source": line.source, "time": _stamp(line) or None, "text": line.text}


def _stamp(line: LogLine) -> str:
    """Empty where the time is not known."""
    return f"{line.at:%Y-%m-%dT%H:%M:%S}.{line.at.microsecond // 1000:03}Z" if line.at else ""


def _prefixed(line: LogLine, coloured: bool, timestamps: bool) -> str:
    """Return the line behind its source, which always has the same colour."""
    prefix = f"{line.source:<11}|"
    if coloured:
        prefix = click.style(prefix, fg=COLOURS[crc32(line.source.encode()) % len(COLOURS)])
    return f"{prefix} {_stamp(line) + ' ' if timestamps else ''}{plain_line(line.text)}"
