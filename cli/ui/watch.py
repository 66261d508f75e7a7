"""Watching a run: a live view on a terminal, a plain line now and then elsewhere, and a summary at its end.

All of it goes to stderr; the run does not depend on being watched.
"""

import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from surreal.cli.ui import output as words
from surreal.cli.ui.channel_table import channel_table
from surreal.cli.ui.output import Output, console, emit, talk
from surreal.orchestrator.backends.base import Backend
from surreal.orchestrator.run.describe import numberless
from surreal.orchestrator.run.follow_status import follow_status
from surreal.orchestrator.run.status import OUTCOMES, Status, refusals
from surreal.protocol.errors import ExitCode, Unreachable

if TYPE_CHECKING:
    from rich.console import RenderableType


Statuses = Callable[[Callable[[str], None]], Iterator[Status]]
"""From a function that is told of outages to the statuses of a run, until it is over."""
PLAIN_SECONDS = 5.0
"""Seconds between two plain lines."""
AGAIN_SECONDS = 30.0
"""Seconds after which a reason is said again; until then only its numbers have changed."""
EVENTS = 4
"""Last sentences of the supervisor that the live view shows."""
MANY_EVENTS = 500
"""Sentences of the supervisor that can be new between two looks."""


def start_and_watch(start: Callable[[], object], place: Backend, name: str, detach: bool, output: Output) -> ExitCode:
    """Start a run and, unless detached, watch it to its end: the outcome. Ctrl-C leaves it running."""
    try:
        start()
        status = place.status(name) if detach else watch(place, name, tidy=True)
        if not detach:
            place.reconcile(name)
    except KeyboardInterrupt:
        if name not in place.names():
            raise
        talk("")
        status, detach = place.status(name), True
    if detach and not status.over:
        talk(how_to_come_back(name))
    else:
        talk(summary(status))
    if output != "table":
        emit(status.document(), output, table=str)
    return ExitCode.DONE if detach else OUTCOMES[status.state]


def watch(place: Backend, name: str, tidy: bool = False) -> Status:
    """Show a run until it is over; returns its last status. Raises KeyboardInterrupt on Ctrl-C.

    With `tidy` the run is reconciled every minute, which a verb that only reads must not do.
    """
    screen = console(stderr=True)
    # where rich would draw nothing (TERM=dumb, unknown), lines are all there is
    live = screen.is_terminal and not screen.is_dumb_terminal and sys.stderr.isatty()

    def statuses(notify: Callable[[str], None]) -> Iterator[Status]:
        reconcile = (lambda: place.reconcile(name)) if tidy else None
        look, eager = partial(place.status, name), not place.remote
        return follow_status(look, place.poll_interval, notify, tidy=reconcile, eager=eager)

    return _watch_live(place, name, statuses) if live else _watch_plain(place, name, statuses)


def how_to_come_back(name: str) -> str:
    """Return what to say when a run goes on unwatched."""
    return (
        f"{name} goes on in the background.\n"
        f"  watch      surreal status -w {name}     (or for its outcome: surreal wait {name})\n"
        f"  logs       surreal logs -f {name}\n"
        f"  stop       surreal stop {name}          (after a checkpoint)"
    )


def summary(status: Status) -> str:
    """Return what came out of a run, and what to do next."""
    now = status.progress
    evaluated = "" if now.eval_return is None else f" (evaluated {words.number(now.eval_return, 1)})"
    lines = [
        f"{status.name} {status.state}: {now.steps:,} steps in {words.duration(now.elapsed)}, "
        f"return {words.number(now.episode_return, 1)}{evaluated}"
    ]
    said = status.reason.splitlines()
    lines += [f"  {line}" for line in [*said, *(line for line in refusals(now) if line not in said)]]
    lines.append(f"  folder     {status.folder}")
    if status.state == "failed":
        lines.append(f"  why        surreal logs {status.name}")
    if status.state in ("failed", "stopped"):
        lines.append(f"  resume     surreal resume {status.name}")
    lines.append(f"  curves     surreal tensorboard {status.name}")
    lines.append(f"  remove     surreal delete {status.name}")
    return "\n".join(lines)


def view(status: Status, events: list[str]) -> "RenderableType":
    """Return the live view of a run."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    now = status.progress
    roles = "   ".join(words.role(name, processes) for name, processes in status.roles.items())
    head = Text.assemble((status.name, "bold"), "  ", (status.state, words.COLOURS[status.state]), "  ", roles)
    bar = Table.grid()  # a progress bar alone does not end its line
    bar.add_row(ProgressBar(total=now.total_steps or 1, completed=now.steps, width=60))
    known = {label: value for label, value in words.facts(status).items() if value not in words.SAYING_NOTHING}
    facts = Columns((Text.assemble((f"{label} ", "dim"), value) for label, value in known.items()), padding=(0, 3))
    channels = (channel_table(status.channels),) if status.channels else ()
    waits = (Text(line, style="yellow") for line in status.reason.splitlines())
    said = (Text(event, style="dim") for event in events)
    return Group(head, bar, facts, *waits, *channels, *said, Text("Ctrl-C detaches", "dim"))


def _watch_live(place: Backend, name: str, statuses: Statuses) -> Status:
    from rich.live import Live

    status = place.status(name)
    with Live(view(status, []), console=console(stderr=True), auto_refresh=False, transient=True) as live:
        for status in statuses(live.console.print):
            live.update(view(status, _events(place, name, EVENTS)), refresh=True)
    return status


def _watch_plain(place: Backend, name: str, statuses: Statuses) -> Status:
    status, seen, next_line = place.status(name), set(_events(place, name, MANY_EVENTS)), 0.0
    told, again = "", float("inf")
    for status in statuses(talk):
        if not status.over and time.monotonic() >= next_line:
            talk(f"{datetime.now():%H:%M:%S}  {words.line(status)}")
            next_line = time.monotonic() + PLAIN_SECONDS
        new = [event for event in _events(place, name, MANY_EVENTS) if event not in seen]
        for event in new:
            talk(event)
        seen.update(new)
        changed = numberless(status.reason) != numberless(told)
        if changed or time.monotonic() >= again:
            told, again = status.reason, time.monotonic() + AGAIN_SECONDS
            if told and not status.over and not (changed and _says(new, told)):
                talk(told)
    return status


def _says(events: list[str], reason: str) -> bool:
    """Return whether the supervisor itself just said the cause in a reason, perhaps of another of alike processes."""
    _, _, cause = reason.splitlines()[0].partition(": ")
    return bool(cause) and any(cause in event for event in events)


def _events(place: Backend, name: str, last: int) -> list[str]:
    """Return the last sentences of the supervisor, none while its place is out of reach."""
    try:
        return [line.text for line in place.logs(name, "supervisor", tail=last)]
    except Unreachable:
        return []
