"""`surreal render`: the objects that an experiment is in a cluster, as YAML."""

import secrets
import sys
from pathlib import Path

import click

from surreal.cli.ui.options import experiment_options, location_options, prices_option
from surreal.cli.ui.output import talk
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.prepare import plan_for
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import InvalidInput

RENDERED = "kube"
NAMESPACE = "default"
"""Where no cluster is asked."""


@click.command(name="render")
@experiment_options
@location_options
@click.option("--pools", "cluster", type=click.Path(path_type=Path), help="A cluster file whose pools to plan for.")
@prices_option
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), help="Write a file per object into FOLDER.")
@click.option("--with-keys", is_flag=True, help="Make keys, so that what is printed runs as it is. They are secrets.")
def command(
    file: Path,
    overrides: tuple[str, ...],
    location: Location | None,
    cluster: Path | None,
    prices: Path | None,
    folder: Path | None,
    with_keys: bool,
) -> None:
    """Print the objects that FILE becomes in a cluster, exactly as `create` sends them, and send nothing.

    With --pools alone no cluster is asked.
    """
    if location and location.backend != RENDERED:
        raise InvalidInput(f"--on {location.backend} has no objects to render: --on {RENDERED}")
    if not location and not cluster:
        location = Location(RENDERED)
    documents = _documents(file, overrides, location, cluster, prices, with_keys)
    if folder:
        _write(documents, folder)
        talk(f"{len(documents)} objects in {folder}")
    else:
        sys.stdout.write("---\n".join(documents.values()))


def _documents(
    file: Path,
    overrides: tuple[str, ...],
    location: Location | None,
    cluster: Path | None,
    prices: Path | None,
    with_keys: bool,
) -> dict[str, str]:
    """File name -> YAML, in the order of their creation."""
    from surreal.orchestrator.backends.kube.manifests.render import draw
    from surreal.orchestrator.backends.kube.names import ZERO_RUN_ID
    from surreal.orchestrator.run.code_archive import packed
    from surreal.orchestrator.run.wiring import key_files

    experiment = load_experiment(file, overrides)
    plan = plan_for(experiment, location, cluster, prices)
    for warning in plan.warnings:
        talk(f"warning: {warning}")
    run, keys = (secrets.token_hex(4), key_files(plan)) if with_keys else (ZERO_RUN_ID, None)
    code = packed(plan.code, file.absolute().parent)
    drawn = draw(plan, run, _namespace(location), keys, code, experiment.to_yaml())
    return {
        f"{number:02}-{each.data['kind'].lower()}-{each.data['metadata']['name']}.yaml": each.text
        for number, each in enumerate(drawn)
    }


def _namespace(location: Location | None) -> str:
    if not location:
        return NAMESPACE
    from surreal.provisioner.kube.client import Api

    return Api.connect(location.kubeconfig, location.context, location.namespace).namespace


def _write(documents: dict[str, str], folder: Path) -> None:
    """Write a new folder, private to its owner. Raises InvalidInput where there is something in it already."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InvalidInput(f"{folder} is not empty: objects of another plan would stay among those of this one")
        for name, text in documents.items():
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(text)
    except OSError as error:
        raise InvalidInput(f"cannot write the objects to {folder}: {error.strerror}") from None
