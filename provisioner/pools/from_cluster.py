"""The nodes and pods of a live cluster, asked of its API."""

import json
from collections.abc import Callable
from typing import Any

from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.kubeconfig import access
from surreal.provisioner.machine_types import MachineTable
from surreal.provisioner.pools.from_nodes import inventory
from surreal.provisioner.pools.model import NodePool

PAGE = 500
"""Objects of one answer."""
TIMEOUT = (5, 60)
"""Seconds to connect, and to wait for an answer."""
FORBIDDEN = 403


class NodesHidden(SurrealError):
    """Whoever asks may not list the nodes, as is usual for people who have a namespace and no more."""


def live_pools(table: MachineTable, context: str | None = None, kubeconfig: str | None = None) -> tuple[NodePool, ...]:
    """The pools of the cluster of a kubeconfig context (the current one if None).

    Raises InvalidInput without a usable kubeconfig, NodesHidden where the nodes may not be listed, SurrealError when
    the cluster does not answer.
    """
    core = connect(context, kubeconfig)
    try:
        nodes = all_items(core.list_node, "list its nodes")
    except PermissionError:
        raise NodesHidden(
            "you may not list the cluster's nodes; ask for `get` and `list` on nodes, or name a cluster file: -f"
        ) from None
    try:
        pods = all_items(core.list_pod_for_all_namespaces, "list pods", field_selector="status.phase!=Succeeded")
    except PermissionError:
        # a user of one namespace: what others use is not known then
        pods = None
    return inventory(nodes, pods, table)


def connect(context: str | None, kubeconfig: str | None = None) -> Any:
    """The core API of a cluster, found as `access` does. Raises InvalidInput when it cannot be used."""
    from kubernetes import client

    return client.CoreV1Api(access(kubeconfig, context).client)


def all_items(listing: Callable[..., Any], what: str, **options: Any) -> list[dict[str, Any]]:
    """Every item, page by page, as plain JSON: the client's own objects take ten times as long.

    Raises PermissionError where the user may not.
    """
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    items: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        try:
            answer = listing(limit=PAGE, _continue=after, _preload_content=False, _request_timeout=TIMEOUT, **options)
            page = json.loads(answer.data)
        except ApiException as error:
            if error.status == FORBIDDEN:
                raise PermissionError(what) from None
            raise SurrealError(f"the cluster does not {what}: {error.status} {error.reason}") from None
        except (HTTPError, OSError) as error:
            raise SurrealError(
                f"the cluster does not answer: {error}; is it up, and does `kubectl get nodes` work?"
            ) from None
        items += page["items"]
        after = page["metadata"].get("continue")
        if not after:
            return items
