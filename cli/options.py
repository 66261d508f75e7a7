"""Options that several commands share, so that they are spelled and explained once."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def output_option(function: Command) -> Command:
    """`-o/--output table|json|yaml`, given to the function as `output`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        help="Form of what is printed.",
    )(function)


def prices_option(function: Command) -> Command:
    """`--prices FILE`, given to the function as `prices`."""
    return click.option(
        "--prices",
        type=click.Path(path_type=Path),
        help="Machine types and prices of your own; SURREAL_HOME/prices.yaml if it is there.",
    )(function)


def max_cost_option(function: Command) -> Command:
    """`--max-cost 20/h`, given to the function as `max_cost`."""
    return click.option(
        "--max-cost", metavar="AMOUNT/TIME", help="Refuse a plan that costs more dollars, such as 20/h or 480/day."
    )(function)


def experiment_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The experiment file, as FILE or `-f FILE`, and `--set`: given to the function as `file` and `overrides`."""

    @click.argument("file", type=click.Path(path_type=Path), required=False)
    @click.option("-f", "--file", "file_option", type=click.Path(path_type=Path), help="The experiment file, as FILE.")
    @click.option(
        "--set",
        "overrides",
        metavar="PATH=VALUE",
        multiple=True,
        help="Replace one value of the file, e.g. spec.algorithm.config.learning_rate=1e-3. May be repeated.",
    )
    @wraps(function)
    def with_file(file: Path | None, file_option: Path | None, **options: Any) -> Any:
        if file and file_option:
            raise click.UsageError("the experiment file is given twice, as FILE and with --file")
        chosen = file or file_option
        if not chosen:
            raise click.UsageError("no experiment file; name one, for example examples/cheetah-ppo.yaml")
        return function(file=chosen, **options)

    return with_file
