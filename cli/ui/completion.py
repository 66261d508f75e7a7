"""Words that the shell offers at the tab key; none is an error.

Nothing is asked of a cluster, which might not answer: names of its runs come from the notes of this machine, and roles
are offered of this machine's runs only, whose plans lie here.
"""

import json
from contextlib import suppress
from typing import Any

import click
from click.shell_completion import CompletionItem

from surreal.orchestrator.client import all_names
from surreal.orchestrator.run import home
from surreal.orchestrator.run.location import CLUSTER, LOCAL, RAY
from surreal.orchestrator.sweeps import folder as sweeps
from surreal.protocol.errors import SurrealError

BACKENDS = {LOCAL: "processes of this machine", CLUSTER: "pods of a Kubernetes cluster", RAY: "actors of a Ray cluster"}


def complete_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the experiments whose names begin so."""
    with suppress(SurrealError, OSError):
        return [name for name in (*all_names(), *sweeps.names()) if name.startswith(incomplete)]
    return []


def complete_processes(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the roles of a run of this machine that begin so; after a slash, the role's processes."""
    with suppress(SurrealError, OSError, ValueError, KeyError, TypeError):
        replicas = {str(role["name"]): int(role["replicas"]) for role in _roles(ctx.params["name"])}
        role, slash, _ = incomplete.partition("/")
        offered = [f"{role}/{index}" for index in range(replicas.get(role, 0))] if slash else list(replicas)
        return [each for each in offered if each.startswith(incomplete)]
    return []


def complete_clusters(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the clusters made from this machine whose names begin so."""
    # only this completion needs what knows cluster files, which takes long to import
    from surreal.provisioner.cluster import store as clusters

    with suppress(SurrealError, OSError):
        return [name for name in clusters.names(home.home()) if name.startswith(incomplete)]
    return []


def complete_backends(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the backends that begin so, with what they are where the shell shows it."""
    return [CompletionItem(name, help=text) for name, text in BACKENDS.items() if name.startswith(incomplete)]


def _roles(name: str) -> list[dict[str, Any]]:
    plan: dict[str, list[dict[str, Any]]] = json.loads(home.find(name).plan.read_text())
    return plan["roles"]
