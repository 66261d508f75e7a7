"""`surreal tensorboard`: the curves of experiments."""

import os
import sys

import click

from surreal.cli.names import names_argument
from surreal.orchestrator.backend import backend


@click.command(name="tensorboard")
@names_argument
@click.option("--port", type=click.IntRange(0, 65535), default=6006, show_default=True, help="0 takes any free one.")
def command(names: tuple[str, ...], port: int) -> None:
    """Show the curves of the experiments NAME... in TensorBoard, on this machine only."""
    place = backend()
    folders = {name: os.path.join(place.status(name).folder, "metrics") for name in names}
    # TensorBoard takes over this very process, so Ctrl-C ends it as one is used to
    os.execv(sys.executable, [sys.executable, *arguments(folders, port)])


def arguments(folders: dict[str, str], port: int) -> list[str]:
    """The interpreter's arguments that serve these curves, each under its name, to this machine alone."""
    named = ",".join(f"{name}:{folder}" for name, folder in folders.items())
    return ["-P", "-m", "tensorboard.main", "--logdir_spec", named, "--host", "127.0.0.1", "--port", str(port)]
