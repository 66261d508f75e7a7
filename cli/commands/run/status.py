"""`surreal status`: the state of one experiment."""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from surreal.cli.ui import output as words
from surreal.cli.ui.channel_table import channel_table
from surreal.cli.ui.options import location_options, output_option, selection_options
from surreal.cli.ui.output import Output, emit, table, talk
from surreal.cli.ui.sweep_table import sweep_data, sweep_table
from surreal.cli.ui.watch import how_to_come_back, summary, watch
from surreal.orchestrator.client import Run
from surreal.orchestrator.groups import Selection, chosen
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.status import Status
from surreal.orchestrator.sweeps.folder import SweepFolder, split_names

if TYPE_CHECKING:
    from surreal.orchestrator.plan.model import Plan


@click.command(name="status")
@selection_options
@click.option("-w", "--watch", "watching", is_flag=True, help="Show it live until it is over.")
@location_options
@output_option
def command(
    names: tuple[str, ...], selection: Selection, watching: bool, location: Location | None, output: Output
) -> None:
    """Show the state of the experiment NAME and of each of its processes, of several one after the other.

    Of a sweep it shows the trials.
    """
    sweeps, rest = split_names(names)
    runs = chosen(rest, location, selection, talk) if rest or selection or not sweeps else []
    if not watching:
        _show(sweeps, runs, output, bool(selection) or len(names) > 1)
        return
    if len(runs) != 1 or sweeps:
        raise click.UsageError("--watch is about one experiment; for several: surreal open, or surreal wait")
    place, name = runs[0].backend, runs[0].name
    if output != "table":
        raise click.UsageError("--watch is for people; for a program: surreal wait NAME, then surreal status NAME")
    try:
        talk(summary(watch(place, name)))
    except KeyboardInterrupt:
        talk(f"\n{how_to_come_back(name)}")


def _show(sweeps: Sequence[str], runs: Sequence[Run], output: Output, several: bool) -> None:
    """Print sweeps and runs; as a list where there may be several."""
    folders = [SweepFolder.find(name) for name in sweeps]
    found = [run.status() for run in runs]
    data = [*(sweep_data(folder) for folder in folders), *(_document(status) for status in found)]

    def tables() -> RenderableType:
        shown: list[RenderableType] = [sweep_table(folder) for folder in folders]
        shown += [_table(status) for status in found]
        return Group(*(part for each in shown for part in (each, ""))) if several else shown[0]

    emit(data if several else data[0], output, tables)


def _document(status: Status) -> dict[str, Any]:
    """Return a status as plain data, with the prediction where there is one."""
    plan = _predictable(status)
    if plan is None:
        return status.document()
    from surreal.orchestrator.prediction.predict import predict

    found = predict(plan)
    return status.document() | ({"prediction": found.to_data()} if found.speed else {})


def _predicted(status: Status) -> str:
    """Return the speed that was predicted, beside the measured one; "" where nothing is known."""
    plan = _predictable(status)
    if plan is None:
        return ""
    from surreal.orchestrator.prediction.predict import beside_truth

    return beside_truth(plan, status.progress.steps_per_second)


def _predictable(status: Status) -> "Plan | None":
    """Return the plan of a run that goes on and makes steps; None where it is not here."""
    path = Path(status.folder, "plan.json")
    if status.over or not status.progress.steps_per_second or not path.is_file():
        return None
    from surreal.orchestrator.plan.model import Plan

    return Plan.from_json(path.read_text())


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
    if predicted := _predicted(status):
        facts.add_row("predicted", predicted)
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
