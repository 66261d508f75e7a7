"""The NAME of an experiment as an argument, completed by the shell."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from surreal.protocol.errors import SurrealError

Command = TypeVar("Command", bound=Callable[..., Any])


def name_argument(function: Command) -> Command:
    """One experiment, given to the function as `name`."""
    return click.argument("name", shell_complete=complete_names)(function)


def names_argument(function: Command) -> Command:
    """One or more experiments, given to the function as `names`."""
    return click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_names)(function)


def complete_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The experiments whose names begin so; a shell that completes must never see an error."""
    from surreal.orchestrator.backend import backend
    from surreal.orchestrator.where import noted

    try:  # no cluster is asked: a shell that completes must not wait
        return sorted(name for name in {*backend().names(), *noted()} if name.startswith(incomplete))
    except SurrealError:
        return []
