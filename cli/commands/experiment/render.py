"""`surreal render`: the objects that an experiment is in a cluster, as YAML."""

import secrets
import sys
from pathlib import Path

import click

from surreal.cli.ui.options import experiment_options, place_options, prices_option
from surreal.cli.ui.output import talk
from surreal.orchestrator.experiment.model import load_experiment
from surreal.orchestrator.prepare import plan_for
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import InvalidInput

RENDERED = "kube"
NO_RUN = "0" * 8
"""`create` draws a new one each time."""
NAMESPACE = "default"
"""Where no cluster is asked."""


@click.command(name="render")
@experiment_options
@place_options
@click.option("--pools", "cluster", type=click.Path(path_type=Path), help="A cluster file whose pools to plan for.")
@prices_option
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), help="Write a file per object into FOLDER.")
@click.option("--with-keys", is_flag=True, help="Make keys, so that what is printed runs as it is. They are secrets.")
def command(
    file: Path,
    overrides: tuple[str, ...],
    where: Location | None,
    cluster: Path | None,
    prices: Path | None,
    folder: Path | None,
    with_keys: bool,
) -> None:
    """Print the objects that FILE becomes in a cluster, exactly as `create` sends them, and send nothing.

    With --pools alone no cluster is asked.
    """
    if where and where.backend != RENDERED:
        raise InvalidInput(f"--on {where.backend} has no objects to render: --on {RENDERED}")
    if not where and not cluster:
        where = Location(RENDERED)
    documents = _documents(file, overrides, where, cluster, prices, with_keys)
    if folder:
        _write(documents, folder)
        talk(f"{len(documents)} objects in {folder}")
    else:
        sys.stdout.write("---\n".join(documents.values()))


def _documents(
    file: Path,
    overrides: tuple[str, ...],
    where: Location | None,
    cluster: Path | None,
    prices: Path | None,
    with_keys: bool,
) -> dict[str, str]:
    """File name -> YAML, in the order of their creation."""
    from surreal.orchestrator.backends.kube.manifests.render import draw
    from surreal.orchestrator.run.code_archive import packed
    from surreal.orchestrator.run.wiring import key_files

    experiment = load_experiment(file, overrides)
    plan = plan_for(experiment, where, cluster, prices)
    for warning in plan.warnings:
        talk(f"warning: {warning}")
    run, keys = (secrets.token_hex(4), key_files(plan)) if with_keys else (NO_RUN, None)
    code = packed(plan.code, file.absolute().parent)
    drawn = draw(plan, run, _namespace(where), keys, code, experiment.to_yaml())
    return {
        f"{number:02}-{each.data['kind'].lower()}-{each.data['metadata']['name']}.yaml": each.text
        for number, each in enumerate(drawn)
    }


def _namespace(where: Location | None) -> str:
    if not where:
        return NAMESPACE
    from surreal.provisioner.kube.client import Api

    return Api.connect(where.kubeconfig, where.context, where.namespace).namespace


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
