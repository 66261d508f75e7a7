"""`surreal list`: the experiments."""

import click
from rich.console import Group, RenderableType
from rich.text import Text

from surreal.cli.ui import output as words
from surreal.cli.ui.options import location_options, output_option, selector_options
from surreal.cli.ui.output import Output, emit, table, talk
from surreal.cli.ui.sweep_table import counts
from surreal.orchestrator.groups import Selection, found_in
from surreal.orchestrator.run.location import Location, remembered
from surreal.orchestrator.run.status import Status, label_test
from surreal.orchestrator.sweeps.folder import records


@click.command(name="list")
@selector_options
@location_options
@output_option
def command(selection: Selection, location: Location | None, output: Output) -> None:
    """List the experiments, the newest last: of this machine, with --on kube or --on ray of a cluster, with -A of all.

    A sweep is one line below; its runs are listed too.
    """
    chosen = label_test(selection.selector) if selection.selector else None
    found = sorted(
        (status for _, status in found_in(location, selection.everywhere, talk)), key=lambda status: status.created
    )
    shown = [
        status
        for status in found
        if (not chosen or chosen(status.labels)) and (not selection.states or status.state in selection.states)
    ]
    if not location and not selection.everywhere and (elsewhere := remembered()):
        talk(f"in clusters: {', '.join(elsewhere)}; see surreal list -A")
    if not shown and output == "table":
        nothing = "no experiments yet: surreal create examples/cheetah-ppo.yaml"
        talk(f"none of {len(found)} experiments fits" if found else nothing)
        return
    sweeps = (
        [] if selection or location else [f"sweep {name}: {each.state}, {counts(each)}" for name, each in records()]
    )
    emit([status.document() for status in shown], output, lambda: _table(shown, sweeps, selection.everywhere))


def _table(found: list[Status], sweeps: list[str], everywhere: bool) -> RenderableType:
    rows = table("name", *(["place"] if everywhere else []), "state", "steps", "steps/s", "return", "age")
    for status in found:
        now = status.progress
        state = Text(status.state, words.COLOURS[status.state])
        speed = words.number(now.steps_per_second)
        place = [status.backend] if everywhere else []
        rows.add_row(
            status.name,
            *place,
            state,
            words.share(now),
            speed,
            words.number(now.episode_return, 1),
            words.age(status.created),
        )
    notes = [*sweeps]
    notes += [f"{status.name}: {status.headline}" for status in found if status.reason]
    return Group(rows, "", *(Text(note) for note in notes)) if notes else rows
