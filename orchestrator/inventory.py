"""Machines that are known without asking anything: those of a cluster file, and those that `cluster up` made."""

from pathlib import Path

from surreal.orchestrator.backends.base import Inventory
from surreal.orchestrator.run.home import home
from surreal.protocol.errors import SurrealError
from surreal.provisioner.cluster import store
from surreal.provisioner.cluster.load import load_cluster
from surreal.provisioner.machine_types import MachineTable, machine_table
from surreal.provisioner.pools.from_file import declared_pools
from surreal.provisioner.providers.registry import provider_of
from surreal.provisioner.spec.cluster import Cluster


def price_table(prices: Path | None = None) -> MachineTable:
    """Return machine types and prices: the built-in table under the user's own.

    `prices` names the user's file; the default is SURREAL_HOME/prices.yaml, if it exists.
    """
    usual = home() / "prices.yaml"
    return machine_table(prices or (usual if usual.exists() else None))


def file_inventory(cluster: Path | Cluster, prices: Path | None = None) -> Inventory:
    """Return the pools that a cluster file declares, none of which has a node yet. Raises InvalidInput at its lines."""
    document = cluster if isinstance(cluster, Cluster) else load_cluster(cluster)
    pools, warnings = declared_pools(document, price_table(prices))
    return Inventory(pools, warnings)


def kept_cluster(context: str) -> Cluster | None:
    """Return the cluster that `surreal cluster up` made here under this kubeconfig context; None for any other."""
    for name in store.names(home()):
        folder = store.find(home(), name)
        try:
            cluster = folder.cluster()
            if folder.phase() == "up" and provider_of(cluster).context(cluster) == context:
                return cluster
        except (SurrealError, OSError):
            # A damaged folder of one cluster must not hinder runs on others.
            continue
    return None
