"""Options that say where an experiment runs, the same for every command."""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from surreal.orchestrator.backend import Backend, backend
from surreal.orchestrator.where import Where, whereabouts

Command = TypeVar("Command", bound=Callable[..., Any])

ON = "SURREAL_ON"
"""Environment variable that stands for `--on`."""


def place_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--on`, `-n`, `--context` and `--kubeconfig`: given to the function as `where`, None if none is said."""

    @click.option("--on", metavar="BACKEND", envvar=ON, help=f"local, or kube: a Kubernetes cluster. Or set {ON}.")
    @click.option("-n", "--namespace", metavar="NAME", help="Namespace in the cluster; as kubectl if not given.")
    @click.option("--context", metavar="NAME", help="Context of the kubeconfig; the current one if not given.")
    @click.option("--kubeconfig", type=click.Path(path_type=Path), help="The kubeconfig; as kubectl if not given.")
    @wraps(function)
    def with_place(
        on: str | None, namespace: str | None, context: str | None, kubeconfig: Path | None, **options: Any
    ) -> Any:
        return function(where=_where(on, namespace, context, kubeconfig), **options)

    return with_place


def _where(on: str | None, namespace: str | None, context: str | None, kubeconfig: Path | None) -> Where | None:
    cluster = {"--namespace": namespace, "--context": context, "--kubeconfig": kubeconfig}
    given = [option for option, value in cluster.items() if value]
    if on == "local" and given:
        raise click.UsageError(f"{given[0]} is about a cluster: give --on kube, or leave it out")
    if not on and not given:
        return None
    return Where(on or "kube", namespace, context, os.fspath(kubeconfig) if kubeconfig else None)


def place_of(name: str, where: Where | None) -> Backend:
    """The backend that has the experiment `name`: as the options say, else here, else where it was created."""
    return backend(whereabouts(name, where))
