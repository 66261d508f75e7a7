"""`surreal render` and `surreal diff`: the objects of an experiment in a cluster."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from surreal.cli.ui.options import experiment_options, location_options, machine_options, output_option
from surreal.cli.ui.output import Output, console, emit, talk, warn
from surreal.orchestrator.backends.base import Diff, Manifest, backend
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.inventory import Machines
from surreal.orchestrator.planning import plan_for
from surreal.orchestrator.run.location import CLUSTER, Location
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.locations import Source
from surreal.protocol.errors import ExitCode, InvalidInput, SurrealError

DIFFERS = ExitCode.FAILED
COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command(name="render")
@experiment_options
@location_options
@machine_options
@click.option("-d", "--directory", type=click.Path(path_type=Path), help="Write a file per object into a new folder.")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="Form.")
@click.option("--with-keys", is_flag=True, help="Make keys, so that the objects run as they are. Keys are secrets.")
def render(
    file: Path,
    overrides: tuple[str, ...],
    location: Location | None,
    pools: Path | None,
    prices: Path | None,
    directory: Path | None,
    output: str,
    with_keys: bool,
) -> None:
    """Print the objects that `create` would send for FILE, and send nothing.

    With --pools and no place, no cluster is asked.
    """
    experiment = load_experiment(file, overrides)
    machines = Machines(location or (None if pools else Location(CLUSTER)), pools, prices)
    plan = plan_for(experiment, machines)
    place = backend(machines.location or Location(CLUSTER))
    manifests = place.render(experiment, plan, with_keys=with_keys, offline=machines.offline)
    if directory:
        _write(manifests, directory)
        talk(f"{len(manifests)} objects in {directory}")
    elif output == "json":
        sys.stdout.write(json.dumps([_data(each) for each in manifests], indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("---\n".join(each.text for each in manifests))
    warn(plan.warnings)


def _data(manifest: Manifest) -> Any:
    data, _ = strictyaml.load(manifest.text, Source(manifest.file))
    return data


def _write(manifests: Sequence[Manifest], folder: Path) -> None:
    """Write a new folder, private to its owner. Raises InvalidInput if it holds a file already."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InvalidInput(
                f"{folder} is not empty: objects of another plan would stay among those of this one. Name a new folder."
            )
        for manifest in manifests:
            (folder / manifest.file).touch(mode=0o600)
            (folder / manifest.file).write_text(manifest.text)
    except OSError as error:
        raise InvalidInput(
            f"--directory: cannot write to {folder}: {error.strerror}. Name a folder that you can write."
        ) from None


@click.command(name="diff")
@experiment_options
@location_options
@machine_options
@output_option
def diff(
    file: Path,
    overrides: tuple[str, ...],
    location: Location | None,
    pools: Path | None,
    prices: Path | None,
    output: Output,
) -> ExitCode:
    """Compare FILE with the experiment of that name in the cluster, and change nothing.

    The exit code is 0 if nothing differs, 1 if something does, 2 or more after an error, as for `kubectl diff`.
    """
    location = location or Location(CLUSTER)
    try:
        experiment = load_experiment(file, overrides)
        found = backend(location).diff(experiment, plan_for(experiment, Machines(location, pools, prices)))
    except SurrealError as error:
        talk(str(error))
        return max(error.exit_code, ExitCode.INVALID)
    if output == "table":
        _print(found)
    else:
        emit([each.to_data() for each in found.differences], output, str)
    return DIFFERS if found.differences else ExitCode.DONE


def _print(found: Diff) -> None:
    for each in found.differences:
        talk(f"{each.change}: {each.kind} {each.name}{f' ({each.note})' if each.note else ''}")
        for line in each.diff.splitlines():
            console().print(line, style=COLOURS.get(line[:1]), soft_wrap=True)
    talk(f"{len(found.differences)} of {found.objects} objects differ" if found.differences else "nothing differs")
