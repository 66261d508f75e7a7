"""Options that several commands share."""

import math
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from surreal.cli.ui.completion import complete_backends, complete_names, complete_processes
from surreal.orchestrator.backends.base import ENGINES, Backend
from surreal.orchestrator.client import Run
from surreal.orchestrator.groups import Selection
from surreal.orchestrator.run.location import CLUSTER, Location
from surreal.orchestrator.run.results import NoPolicyError, Which
from surreal.orchestrator.run.status import State
from surreal.protocol.errors import NotFound

Command = TypeVar("Command", bound=Callable[..., Any])


class Number(click.FloatRange):
    """A finite number within bounds: click lets nan through every bound, and inf through where there is none."""

    name = "number"

    def _describe_range(self) -> str:
        """Return the bounds for a help text; empty for none, of which click would say `x<=None`."""
        return "" if self.min is None and self.max is None else super()._describe_range()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number. Raises click.BadParameter for anything else."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number. Give one such as 30.", param, ctx)
        return number


def output_option(function: Command) -> Command:
    """Add `-o/--output table|json|yaml`, given to the function as `output`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        help="Form of the output.",
    )(function)


def prices_option(function: Command) -> Command:
    """Add `--prices FILE`, given to the function as `prices`."""
    return click.option(
        "--prices",
        type=click.Path(path_type=Path),
        help="Machine types and prices of your own; SURREAL_HOME/prices.yaml if it is there.",
    )(function)


def machine_options(function: Command) -> Command:
    """Add `--pools FILE` and `--prices FILE`, given to the function as `pools` and `prices`."""
    file = click.option(
        "--pools",
        type=click.Path(path_type=Path),
        help="A cluster file with pools that may have no node yet; known without it after `surreal cluster up`.",
    )
    return file(prices_option(function))


def max_cost_option(function: Command) -> Command:
    """Add `--max-cost 20/h`, given to the function as `max_cost`."""
    return click.option(
        "--max-cost", metavar="AMOUNT/TIME", help="Refuse a plan that costs more dollars, such as 20/h or 480/day."
    )(function)


def set_option(function: Command) -> Command:
    """Add `--set PATH=VALUE`, which may be repeated; given to the function as `overrides`."""
    return click.option(
        "--set",
        "overrides",
        metavar="PATH=VALUE",
        multiple=True,
        help="Replace one value of the file, e.g. spec.algorithm.config.learning_rate=1e-3. May be repeated.",
    )(function)


def experiment_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the experiment file, as FILE or `-f FILE`, and `--set`; given to the function as `file` and `overrides`."""

    @click.argument("file", type=click.Path(path_type=Path), required=False)
    @click.option("-f", "--file", "file_option", type=click.Path(path_type=Path), help="The file, instead of FILE.")
    @set_option
    @wraps(function)
    def with_file(file: Path | None, file_option: Path | None, **options: Any) -> Any:
        if file and file_option:
            raise click.UsageError("the experiment file is given twice, as FILE and with --file")
        chosen = file or file_option
        # a fork of another run needs none
        return function(file=chosen if options.get("source") else named(chosen), **options)

    return with_file


def named(file: Path | None) -> Path:
    """Return the experiment file. Raises UsageError where none is given."""
    if file is None:
        raise click.UsageError("no experiment file; name one, for example examples/cheetah-ppo.yaml")
    return file


ON = "SURREAL_ON"
"""Environment variable that stands for `--on`."""


def location_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--on`, `-n`, `--context`, `--kubeconfig` and `--engine`, given as `location`; None without any."""

    @click.option(
        "--on",
        metavar="BACKEND",
        envvar=ON,
        shell_complete=complete_backends,
        help=f"local, kube, or ray[:ADDRESS]. Or set {ON}.",
    )
    @click.option("-n", "--namespace", metavar="NAME", help="Namespace in the cluster; as kubectl if not given.")
    @click.option("--context", metavar="NAME", help="Context of the kubeconfig; the current one if not given.")
    @click.option("--kubeconfig", type=click.Path(path_type=Path), help="The kubeconfig; as kubectl if not given.")
    @click.option("--engine", type=click.Choice(list(ENGINES)), help="Run as a RayJob of KubeRay instead of as Jobs.")
    @wraps(function)
    def with_place(
        on: str | None,
        namespace: str | None,
        context: str | None,
        kubeconfig: Path | None,
        engine: str | None,
        **options: Any,
    ) -> Any:
        return function(location=_location(on, namespace, context, kubeconfig, engine), **options)

    return with_place


def _location(
    on: str | None, namespace: str | None, context: str | None, kubeconfig: Path | None, engine: str | None
) -> Location | None:
    if not any((on, namespace, context, kubeconfig, engine)):
        return None
    return Location.of(on or CLUSTER, namespace, context, os.fspath(kubeconfig) if kubeconfig else None, engine)


def backend_of(name: str, location: Location | None) -> Backend:
    """Return the backend of the experiment `name`: as the options say, else here, else where it was created."""
    return Run.find(name, location).backend


def run_of(name: str, location: Location | None) -> Run:
    """Return the run `name`: where the options say, else here, else where it was created."""
    return Run.find(name, location)


def name_argument(function: Command) -> Command:
    """Add one experiment, given to the function as `name`."""
    return click.argument("name", shell_complete=complete_names)(function)


def process_argument(required: bool) -> Callable[[Command], Command]:
    """Add one role or process of the experiment, given to the function as `process`."""
    metavar = "ROLE[/INDEX]" if required else "[ROLE[/INDEX]]"
    return click.argument("process", metavar=metavar, required=required, shell_complete=complete_processes)


def names_argument(function: Command) -> Command:
    """Add one or more experiments, given to the function as `names`."""
    return click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_names)(function)


def policy_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add NAME, `--policy best|last`, `--code` and the place; given as `saved` (a SavedRun), `which` and `code`.

    Modules of the run's own code are importable then.
    """

    @click.argument("name", shell_complete=complete_names)
    @click.option(
        "--policy",
        "which",
        type=click.Choice(["best", "last"]),
        default="best",
        show_default=True,
        help="That of the best evaluation, or of the newest checkpoint.",
    )
    @click.option("--code", type=click.Path(path_type=Path), help="Folder of your own modules, if not that of the run.")
    @location_options
    @wraps(function)
    def with_policy(name: str, which: Which, code: Path | None, location: Location | None, **options: Any) -> Any:
        from surreal.orchestrator.saved_run import saved

        found = saved(name, location, which)
        folder = code or found.code
        if folder:
            sys.path.append(str(folder))
        try:
            return function(saved=found, which=which, code=folder, **options)
        except NoPolicyError as error:
            if error.other is None:
                raise
            command = f"{_given_again()} --policy {error.other}"
            raise NotFound(f"{error.fact} Run: {command}") from None

    return with_policy


def _given_again() -> str:
    """Return the present command as it was given, without `--policy`."""
    context = click.get_current_context()
    words = context.command_path.split()
    for param in context.command.params:
        name = str(param.name)
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE and name != "which":
            option = param.opts[:1] if isinstance(param, click.Option) else []
            for value in context.params[name] if param.multiple else [context.params[name]]:
                words += option if isinstance(value, bool) else [*option, str(value)]
    return shlex.join(words)


def selection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add NAME..., `-l`, `--state`, `--all` and `-A`, given to the function as `names` and `selection`."""

    @click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
    @selector_options
    @click.option("--all", "everything", is_flag=True, help="All runs of the place.")
    @wraps(function)
    def with_selection(selection: Selection, everything: bool, **options: Any) -> Any:
        return function(selection=replace(selection, everything=everything), **options)

    return with_selection


def selector_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `-l`, `--state` and `-A`, given to the function as `selection`."""

    @click.option(
        "-l",
        "--selector",
        metavar="LABELS",
        default="",
        help="Runs with these metadata.labels: team=rl,stage!=test or 'team in (rl, vision)'.",
    )
    @click.option(
        "--state",
        "states",
        type=click.Choice(["pending", "running", "succeeded", "failed", "stopped"]),
        multiple=True,
        help="Runs in this state. May be repeated.",
    )
    @click.option(
        "-A", "--everywhere", is_flag=True, help="Of this machine and of every cluster where runs were created."
    )
    @wraps(function)
    def with_selector(selector: str, states: tuple[State, ...], everywhere: bool, **options: Any) -> Any:
        return function(selection=Selection(selector, states, False, everywhere), **options)

    return with_selector
