"""Machines of a live cluster, together with the pools that its cluster file promises."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from surreal.orchestrator.backends.base import Inventory
from surreal.orchestrator.inventory import file_inventory, kept_cluster, price_table
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.cluster.load import load_cluster
from surreal.provisioner.pools.from_nodes import NodesHiddenError, live_pools, merged
from surreal.provisioner.pools.model import NodePool
from surreal.provisioner.spec.cluster import Cluster

_ANY = NodePool("cluster", nodes=1, cpu=1e6, memory=2**60, provider="existing", pods=10**6, os="linux")
HIDDEN_NODES = (_ANY, replace(_ANY, name="cluster-gpu", gpus=10**6))
"""Pools that stand for a cluster whose nodes the user may not list: its scheduler decides."""


def pools(location: Location, context: Callable[[], str], cluster_file: Path | None, prices: Path | None) -> Inventory:
    """Return the live pools and those of the cluster file: `cluster_file`, or the one that `cluster up` kept here.

    `context` gives the name of the kubeconfig context. Raises InvalidInput for a wrong file, a kubeconfig that cannot
    be used and a cluster without nodes; SurrealError if the cluster does not answer.
    """
    cluster = load_cluster(cluster_file) if cluster_file else kept_cluster(context())
    declared = file_inventory(cluster, prices) if cluster else Inventory(())
    try:
        live = live_pools(price_table(prices), location.context or _context(cluster), location.kubeconfig)
    except NodesHiddenError:
        if not declared.pools:
            return Inventory(HIDDEN_NODES, ("you may not list the cluster's nodes: whether all fits is not known",))
        live = ()
    found = merged(declared.pools, live)
    if not found:
        raise InvalidInput(
            "pools: the cluster has no nodes. Name its file with --pools to plan for pools that start at zero."
        )
    return Inventory(found, declared.warnings)


def _context(cluster: Cluster | None) -> str | None:
    return cluster.spec.context if cluster else None
