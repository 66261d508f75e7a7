"""`surreal profile`: where the time of every process of an experiment goes."""

from pathlib import Path

import click
from rich.console import Group, RenderableType
from rich.text import Text

from surreal.cli.ui.options import Number, location_options, output_option, run_of, set_option
from surreal.cli.ui.output import Output, emit, json_text, table, talk
from surreal.orchestrator.client import Client, Run
from surreal.orchestrator.profiling.breakdown import Breakdown
from surreal.orchestrator.profiling.profile import Profile
from surreal.orchestrator.run.location import Location

MOST_ROWS = 8
"""Operations of a role in the table; the report has all."""


@click.command(name="profile")
@click.argument("target", metavar="NAME|FILE")
@click.option("--seconds", type=Number(1, 600), default=30.0, show_default=True, help="Length of the profile.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for report.html, trace.json and profile.json; by default profile-NAME here.",
)
@click.option("--no-calls", is_flag=True, help="Do not count calls between Python and C.")
@set_option
@location_options
@output_option
def command(
    target: str,
    seconds: float,
    out: Path | None,
    no_calls: bool,
    overrides: tuple[str, ...],
    location: Location | None,
    output: Output,
) -> None:
    """Take a profile of the experiment NAME, which goes on meanwhile, or of one that is begun from FILE for it.

    It writes a report, a trace for ui.perfetto.dev, and the same as data. Of a FILE the run is deleted afterwards.
    """
    from surreal.orchestrator.profiling.report import write_report
    from surreal.orchestrator.profiling.take import begin_and_profile, profile_run
    from surreal.orchestrator.profiling.trace import write_trace

    file = Path(target)
    if file.suffix in (".yaml", ".yml") or file.is_file():
        keep = out or Path(f"profile-{file.stem}")
        profile = begin_and_profile(lambda: _begin(file, overrides, location), seconds, keep, talk, not no_calls)
    elif overrides:
        raise click.UsageError("--set is about a FILE; a run that goes on has its values")
    else:
        run, keep = run_of(target, location), out or Path(f"profile-{target}")
        profile = profile_run(run, seconds, keep, talk, not no_calls)
    write_report(profile, keep / "report.html")
    left_out = write_trace(profile.timelines, keep / "trace.json")
    (keep / "profile.json").write_text(_json(profile))
    emit(profile.to_data(), output, lambda: _view(profile))
    for note in profile.notes:
        talk(note)
    if left_out:
        talk(f"trace.json: the {left_out:,} shortest spans were left out, so that it can be opened")
    talk(f"report {keep / 'report.html'}, trace {keep / 'trace.json'} (open it at ui.perfetto.dev)")


def _json(profile: Profile) -> str:
    return json_text(profile.to_data(), indent=1) + "\n"


def _begin(file: Path, overrides: tuple[str, ...], location: Location | None) -> Run:
    """Start a run of a name of its own."""
    import secrets

    from surreal.orchestrator.experiment.load import load_experiment

    name = load_experiment(file, overrides).metadata.name[:40].rstrip("-")
    named = (*overrides, f"metadata.name={name}-profile-{secrets.token_hex(2)}")
    return Client.at(location or Location()).create(load_experiment(file, named))


def _view(profile: Profile) -> RenderableType:
    parts: list[RenderableType] = []
    for role in profile.roles.values():
        head = f"{role.name} x {role.processes}", "bold"
        facts = (
            f"  busy {role.busy:.0%}, on a core {role.cpu / role.wall:.0%}, profiler {role.profiler / role.wall:.2%}"
        )
        parts += [Text.assemble(head, facts), _rows(role), ""]
    if profile.path:
        way = ", ".join(f"{name} {spent * 1000:,.1f} ms" for name, spent in profile.path.seconds.items())
        parts += [Text(f"from a step to weights: {way}"), ""]
    return Group(*parts, *(Text(text) for text in profile.advice))


def _rows(role: Breakdown) -> RenderableType:
    rows = table("operation", "resource", "share", "seconds", "count", "calls of C/s")
    found = sorted(role.seconds.items(), key=lambda entry: -entry[1])
    for (operation, resource), spent in found[:MOST_ROWS]:
        crossed = role.crossings.get((operation, resource))
        calls = f"{crossed.per_second:,.0f}" if crossed else ""
        count = role.counts.get((operation, resource), 0)
        rows.add_row(operation, resource, f"{spent / role.wall:.1%}", f"{spent:.3f}", f"{count:,}", calls)
    return rows
