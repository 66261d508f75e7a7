"""Sweeps for people: a table of trials, a line while it runs, and its end."""

import sys
import time
from typing import TYPE_CHECKING, Any

from surreal.cli.ui import output as words
from surreal.cli.ui.output import console, number, table, talk
from surreal.orchestrator.run.status import OUTCOMES
from surreal.protocol.documents.effects import shown
from surreal.protocol.errors import ExitCode, Timeout

if TYPE_CHECKING:
    from rich.console import RenderableType

    from surreal.orchestrator.sweeps.folder import Record, SweepFolder

LOOK_SECONDS, PLAIN_SECONDS = 0.5, 10.0


def sweep_data(folder: "SweepFolder") -> dict[str, Any]:
    """Return a sweep as plain data."""
    from dataclasses import asdict

    record = folder.read()
    return {"name": folder.name, "kind": "sweep", "folder": str(folder.path), **asdict(record)}


def sweep_table(folder: "SweepFolder") -> "RenderableType":
    """Return the trials, the best first."""
    from rich.console import Group
    from rich.text import Text

    record = folder.read()
    head = Text.assemble(
        (folder.name, "bold"), "  ", (record.state, words.COLOURS[record.state]), f"  {counts(record)}"
    )
    rows = table("trial", "state", "score", "steps", "time", "values")
    for trial in sorted(record.trials, key=lambda each: -(each.score if each.score is not None else float("-inf"))):
        rows.add_row(
            str(trial.number),
            trial.state,
            number(trial.score, 1),
            number(trial.steps),
            words.duration(trial.seconds),
            said(trial.point) or ", ".join(trial.runs),
        )
    reason = (Text(record.reason, "yellow"),) if record.reason else ()
    return Group(head, *reason, "", rows)


def said(point: dict[str, Any]) -> str:
    """Return `learning_rate=0.001 gamma=0.99`."""
    return " ".join(f"{key.rpartition('.')[2]}={shown(value)}" for key, value in point.items())


def counts(record: "Record") -> str:
    """Return `3 succeeded, 2 running, best 480.0 (learning_rate=0.001)`."""
    states = [trial.state for trial in record.trials]
    parts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    best = record.best
    if best is not None:
        parts.append(f"best {number(best.score, 1)}{f' ({said(best.point)})' if best.point else ''}")
    return ", ".join(parts) or "no trial yet"


def watch_sweep(folder: "SweepFolder", timeout: float | None = None) -> ExitCode:
    """Show a sweep until it is over; Ctrl-C leaves it running. Return its outcome. Raises Timeout."""
    try:
        record = _follow(folder, timeout)
    except KeyboardInterrupt:
        talk(f"\n{how_to_come_back(folder.name)}")
        return ExitCode.DONE
    console(stderr=True).print(sweep_table(folder))
    talk(f"  compare    surreal compare {folder.name}\n  remove     surreal delete {folder.name}")
    return OUTCOMES[record.state]


def _follow(folder: "SweepFolder", timeout: float | None) -> "Record":
    shown, due, began = "", 0.0, time.monotonic()
    while (record := folder.read()).state == "running":
        if timeout is not None and time.monotonic() - began > timeout:
            raise Timeout(f"{folder.name}: is running after {timeout:g} s. The sweep continues.")
        line = f"{folder.name}  {counts(record)}"
        if sys.stderr.isatty():
            print(f"\r\x1b[2K{line[: console(stderr=True).width]}", end="", file=sys.stderr, flush=True)
        elif line != shown and time.monotonic() >= due:
            talk(line)
            shown, due = line, time.monotonic() + PLAIN_SECONDS
        time.sleep(LOOK_SECONDS)
    if sys.stderr.isatty():
        print("\r\x1b[2K", end="", file=sys.stderr)
    return record


def how_to_come_back(name: str) -> str:
    """Return what to say when a sweep goes on unwatched."""
    return (
        f"{name} goes on in the background.\n"
        f"  watch      surreal wait {name}\n"
        f"  trials     surreal status {name}\n"
        f"  stop       surreal stop {name}          (after checkpoints)"
    )
