"""Output of commands: data on stdout as a table, JSON or YAML; messages on stderr. Colour only on a terminal."""

import json
import math
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, redirect_stdout
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Literal

from surreal.orchestrator.run.describe import UNKNOWN, duration, line, number, role, share, speed, steps
from surreal.orchestrator.run.status import Status

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table


Output = Literal["table", "json", "yaml"]

_UNLIMITED = 1000
"""Columns of a pipe: it gets whole lines."""


def emit(data: Any, output: Output, table: "Callable[[], RenderableType]") -> None:
    """Print `data` (plain: dicts, lists, scalars) in the form asked for; `table` is called for a table only."""
    if output == "json":
        sys.stdout.write(json_text(data) + "\n")
    elif output == "yaml":
        from surreal.protocol.documents import yaml as strictyaml

        sys.stdout.write(strictyaml.dump(_finite(data)))
    else:
        show(table())


def foreign_words_apart() -> AbstractContextManager[object]:
    """Send what environments and other foreign code print to stderr: it must not mix with the data."""
    return redirect_stdout(sys.stderr)


def show(renderable: "RenderableType") -> None:
    """Print on stdout; into a pipe without the spaces that fill the lines of tables."""
    screen = console()
    if sys.stdout.isatty():
        screen.print(renderable)
        return
    with screen.capture() as captured:
        screen.print(renderable)
    sys.stdout.write("\n".join(line.rstrip(" ") for line in captured.get().split("\n")))


def json_text(data: Any, indent: int = 2) -> str:
    """Return plain data in JSON, which has no NaN and no infinity: these are null."""
    return json.dumps(_finite(data), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def counted(number: int, noun: str) -> str:
    """Return `1 run` or `2 runs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def talk(text: str) -> None:
    """Print one line on stderr: progress, hints, warnings."""
    console(stderr=True).print(text, soft_wrap=True)


def warn(warnings: Iterable[str]) -> None:
    """Print warnings, one line each, on stderr."""
    for warning in warnings:
        talk(f"warning: {warning}")


def console(stderr: bool = False) -> "Console":
    """Return a rich console on stdout or stderr that honours NO_COLOR and prints brackets as they are."""
    from rich.console import Console

    stream: IO[str] = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _UNLIMITED
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def table(*columns: str) -> "Table":
    """Return an empty table in the style of all commands."""
    from surreal.cli.ui.rows import Rows

    return Rows(columns)


__all__ = ["COLOURS", "UNKNOWN", "age", "duration", "facts", "line", "number", "role", "share", "speed", "steps"]

NOT_PRICED = "not known"
SAYING_NOTHING = (UNKNOWN, NOT_PRICED)
"""Values that a view may leave out."""
COLOURS = {"pending": "yellow", "running": "cyan", "succeeded": "green", "failed": "red", "stopped": "yellow"}
"""State -> colour on a terminal."""


def age(created: str) -> str:
    """Return the time since an ISO 8601 moment: `12s`, `5m`, `3h`, `2d`."""
    if not created:
        return UNKNOWN
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(0, seconds)}s"


def _cost(status: Status) -> str:
    """Return the dollars so far; a price that is not known is none of 0."""
    now = status.progress
    if now.hours is None:
        return UNKNOWN
    return NOT_PRICED if now.cost is None else f"{now.cost:,.2f} $"


def facts(status: Status) -> dict[str, str]:
    """Return a run as labelled facts, for a table."""
    now = status.progress
    return {
        "steps": steps(now),
        "speed": speed(status),
        "return": number(now.episode_return, 1),
        "eval return": number(now.eval_return, 1),
        "staleness": number(now.staleness, 2),
        "updates": number(now.updates),
        "elapsed": duration(now.elapsed),
        "hours": number(now.hours, 2),
        "cost": _cost(status),
        "left": duration(now.eta_seconds) if not status.over else UNKNOWN,
        **({"refused": f"{number(now.refused_fragments)} fragments"} if now.refused_fragments else {}),
    }
