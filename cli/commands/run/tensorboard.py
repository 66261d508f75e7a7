"""`surreal tensorboard`: the curves of experiments."""

import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from surreal.cli.ui.options import names_argument, place_of, place_options
from surreal.orchestrator.run.location import Location

TERMINATED = 128 + signal.SIGTERM
"""The shells' exit code for SIGTERM."""


@click.command(name="tensorboard")
@names_argument
@click.option("--port", type=click.IntRange(0, 65535), default=6006, show_default=True, help="0 takes any free one.")
@place_options
def command(names: tuple[str, ...], port: int, where: Location | None) -> int:
    """Show the curves of the experiments NAME... in TensorBoard, on this machine only.

    Those of a cluster are copied here while it runs, every few seconds.
    """
    with ExitStack() as open_ones:
        folders = {name: open_ones.enter_context(place_of(name, where).curves(name)) for name in names}
        return _serve([sys.executable, *arguments(folders, port)])


def arguments(folders: dict[str, Path], port: int) -> list[str]:
    """The interpreter's arguments that serve these curves, each under its name, to this machine alone."""
    named = ",".join(f"{name}:{folder}" for name, folder in folders.items())
    return ["-P", "-m", "tensorboard.main", "--logdir_spec", named, "--host", "127.0.0.1", "--port", str(port)]


def _serve(command: list[str]) -> int:
    """Run TensorBoard to its end, which Ctrl-C brings as one is used to; it never outlives this process."""
    # what ends this process in the usual way ends it too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    with subprocess.Popen(command) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            return process.wait()  # the terminal has told it as well
        finally:
            process.terminate()
