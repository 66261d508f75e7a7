"""`surreal exec`, `surreal port-forward` and `surreal tensorboard`: reach into a run from this machine."""

import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from surreal.cli.ui.options import location_options, name_argument, names_argument, process_argument, run_of
from surreal.cli.ui.output import talk
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import ExitCode

PORTS = re.compile(r"(?:(?P<local>\d{1,5}):)?(?P<remote>\d{1,5})")
MAX_PORT = 65_535
TERMINATED = 128 + signal.SIGTERM
"""The shells' exit code for SIGTERM."""


@click.command(name="exec")
@name_argument
@process_argument(required=True)
@click.argument("words", metavar="-- COMMAND [ARGUMENT]...", nargs=-1, required=True, type=click.UNPROCESSED)
@location_options
def execute(name: str, process: str, words: tuple[str, ...], location: Location | None) -> int:
    """Run a command in the environment of a process of the experiment NAME: in its pod, or here in its folder.

    On a terminal it is interactive: surreal exec NAME learner -- sh. The exit code is that of the command.
    """
    tty = sys.stdin.isatty() and sys.stdout.isatty()
    return run_of(name, location).execute(process, words, tty=tty)


@click.command(name="port-forward")
@name_argument
@process_argument(required=True)
@click.argument("ports", metavar="[LOCAL:]REMOTE")
@location_options
def port_forward(name: str, process: str, ports: str, location: Location | None) -> ExitCode:
    """Forward a port of this machine to port REMOTE of a process in a cluster; only this machine can use it.

    LOCAL is REMOTE if left out, and any free port if 0. It ends with the process, or by Ctrl-C.
    """
    local, remote = _parsed(ports)

    def ready(port: int) -> None:
        talk(f"http://127.0.0.1:{port} is port {remote} of {process} of {name}; Ctrl-C ends it")

    try:
        run_of(name, location).forward(process, local, remote, ready)
    except KeyboardInterrupt:
        talk("")
    return ExitCode.DONE


def _parsed(ports: str) -> tuple[int, int]:
    """Return local and remote port. Raises click's UsageError."""
    found = PORTS.fullmatch(ports)
    remote = int(found["remote"]) if found else 0
    local = int(found["local"] or remote) if found else 0
    if not 1 <= remote <= MAX_PORT or local > MAX_PORT:
        raise click.UsageError(f"Invalid ports {ports!r}. Expected REMOTE or LOCAL:REMOTE, e.g. 9400 or 8080:9400.")
    return local, remote


@click.command(name="tensorboard")
@names_argument
@click.option("--port", type=click.IntRange(0, 65535), default=6006, show_default=True, help="0 takes any free one.")
@location_options
def tensorboard(names: tuple[str, ...], port: int, location: Location | None) -> int:
    """Show the metrics of the experiments NAME... in TensorBoard, on this machine only.

    Metrics of a cluster are copied here every few seconds while it runs.
    """
    with ExitStack() as stack, TemporaryDirectory(prefix="surreal-") as links:
        for name in names:
            folder = stack.enter_context(run_of(name, location).metrics_folder())
            (Path(links) / name).symlink_to(folder.absolute(), target_is_directory=True)
        return _serve([sys.executable, *arguments(links, port)])


def arguments(folder: str, port: int) -> list[str]:
    """Return the interpreter's arguments that serve the folders below `folder`, each under its name."""
    return ["-P", "-m", "tensorboard.main", "--logdir", folder, "--host", "127.0.0.1", "--port", str(port)]


def _serve(command: list[str]) -> int:
    """Run TensorBoard until it ends or Ctrl-C; it never outlives this process."""
    # SIGTERM must reach the `finally` below.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    with subprocess.Popen(command) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The terminal sent the signal to TensorBoard as well.
            return process.wait()
        finally:
            process.terminate()
