"""`surreal open`: the live page of runs in a browser."""

import secrets
import webbrowser
from importlib.util import find_spec

import click

from surreal.cli.ui.completion import complete_names
from surreal.cli.ui.options import location_options
from surreal.cli.ui.output import talk
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import ExitCode, InvalidInput

NEEDED = ("starlette", "uvicorn", "uplot")
"""Modules of the extra `page`."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command(name="open")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@click.option("--port", type=click.IntRange(0, 65535), default=8265, show_default=True, help="0 takes any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Another address opens it to others, by a token.")
@click.option("--no-browser", is_flag=True, help="Print the address only.")
@location_options
def command(names: tuple[str, ...], port: int, host: str, no_browser: bool, location: Location | None) -> ExitCode:
    """Show the experiments NAME..., or all of a place, on one live page: curves, processes, channels, logs.

    The page reads and changes nothing. Only this machine can open it unless --host says otherwise.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise InvalidInput(f"open: the page needs {', '.join(missing)}. Install it: pip install 'surreal[page]'")
    from surreal.orchestrator.page.server import serve
    from surreal.orchestrator.page.views import views_of

    token = None if host in LOOPBACK else secrets.token_urlsafe(24)

    def ready(taken: int) -> None:
        shown = f"http://{f'[{host}]' if ':' in host else host}:{taken}/" + (f"?token={token}" if token else "")
        talk(f"{shown}  (Ctrl-C ends the page, not the runs)")
        if not no_browser:
            webbrowser.open(shown)

    try:
        serve(views_of(names, location), host, port, token, ready)
    except OSError as error:
        raise InvalidInput(f"--port: {port} at {host} cannot be used: {error.strerror}. Give another, or 0.") from None
    return ExitCode.DONE
