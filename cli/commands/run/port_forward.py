"""`surreal port-forward`: a port of a process, on this machine."""

import re

import click

from surreal.cli.ui.options import name_argument, place_of, place_options
from surreal.cli.ui.output import talk
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import ExitCode

PORTS = re.compile(r"(?:(?P<local>\d{1,5}):)?(?P<remote>\d{1,5})")
HIGHEST = 65_535


@click.command(name="port-forward")
@name_argument
@click.argument("process", metavar="ROLE[/INDEX]")
@click.argument("ports", metavar="[LOCAL:]REMOTE")
@place_options
def command(name: str, process: str, ports: str, where: Location | None) -> ExitCode:
    """Make port REMOTE of a process in a cluster a port of this machine, and of this machine only.

    LOCAL is the same number if it is left out, and any free one if it is 0. It ends with the process, or by Ctrl-C.
    """
    local, remote = _parsed(ports)

    def ready(port: int) -> None:
        talk(f"http://127.0.0.1:{port} is port {remote} of {process} of {name}; Ctrl-C ends it")

    try:
        place_of(name, where).forward(name, process, local, remote, ready)
    except KeyboardInterrupt:
        talk("")
    return ExitCode.DONE


def _parsed(ports: str) -> tuple[int, int]:
    """Local and remote port. Raises click's UsageError."""
    found = PORTS.fullmatch(ports)
    remote = int(found["remote"]) if found else 0
    local = int(found["local"] or remote) if found else 0
    if not 1 <= remote <= HIGHEST or local > HIGHEST:
        raise click.UsageError(f"{ports!r} is no pair of ports: write 9400, or 8080:9400")
    return local, remote
