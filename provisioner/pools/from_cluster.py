"""Pools of a live cluster, from the nodes and pods that its API lists."""

from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import FORBIDDEN, ApiError
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.machine_types import MachineTable
from surreal.provisioner.pools.from_nodes import inventory
from surreal.provisioner.pools.model import NodePool


class NodesHidden(SurrealError):
    """The user may not list the nodes, as is usual for people who have a namespace and no more."""


def live_pools(table: MachineTable, context: str | None = None, kubeconfig: str | None = None) -> tuple[NodePool, ...]:
    """Return the pools of the cluster of a kubeconfig context (the current one if None).

    Raises InvalidInput without a usable kubeconfig, NodesHidden where the nodes may not be listed, SurrealError when
    the cluster does not answer.
    """
    api = Api.connect(kubeconfig, context)
    nodes = _listed(api, "Node")
    if nodes is None:
        raise NodesHidden(
            "you may not list the cluster's nodes; ask for `get` and `list` on nodes, or give --pools FILE"
        )
    # a user of one namespace may list no others' pods; the use of the nodes is unknown then
    return inventory(nodes, _listed(api, "Pod", "status.phase!=Succeeded"), table)


def _listed(api: Api, kind: str, fields: str = "") -> list[Object] | None:
    """Return all objects of a kind; None if the user may not list them."""
    try:
        return api.list(kind, fields=fields, everywhere=True)
    except ApiError as error:
        if error.status == FORBIDDEN:
            return None
        raise
