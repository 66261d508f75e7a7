"""Machines to plan for: of a place, of a cluster file, or of a cluster that `cluster up` made.

What reads cluster files and prices is imported where it is needed: most runs stay on this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from surreal.orchestrator.backends.base import THIS_MACHINE, Inventory, backend
from surreal.orchestrator.run.home import home
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import SurrealError

if TYPE_CHECKING:
    from surreal.provisioner.machine_types import MachineTable
    from surreal.provisioner.spec.cluster import Cluster


def price_table(prices: Path | None = None) -> MachineTable:
    """Return machine types and prices: the built-in table under the user's own.

    `prices` names the user's file; the default is SURREAL_HOME/prices.yaml, if it exists.
    """
    from surreal.provisioner.machine_types import machine_table

    usual = home() / "prices.yaml"
    return machine_table(prices or (usual if usual.exists() else None))


def file_inventory(cluster: Path | Cluster, prices: Path | None = None) -> Inventory:
    """Return the pools that a cluster file declares, none of which has a node yet. Raises InvalidInput at its lines."""
    from surreal.provisioner.cluster.load import load_cluster
    from surreal.provisioner.pools.from_file import declared_pools

    document = load_cluster(cluster) if isinstance(cluster, Path) else cluster
    pools, warnings = declared_pools(document, price_table(prices))
    return Inventory(pools, warnings)


def kept_cluster(context: str) -> Cluster | None:
    """Return the cluster that `surreal cluster up` made here under this kubeconfig context; None for any other."""
    from surreal.provisioner.cluster import store
    from surreal.provisioner.providers.registry import provider_of

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


@dataclass(frozen=True)
class Machines:
    """Choice of the machines to plan for. Without any value it is this machine."""

    location: Location | None = None
    """Place whose live machines are asked; None asks none if there is a cluster file."""
    cluster_file: Path | None = None
    """A cluster file: pools that may have no node yet, their bounds and prices."""
    prices: Path | None = None
    """Machine types and prices of the user; SURREAL_HOME/prices.yaml if None and it exists."""

    @property
    def offline(self) -> bool:
        """True if only the cluster file counts and no server is asked."""
        return self.location is None and self.cluster_file is not None

    def inventory(self) -> Inventory:
        """Return the pools. Raises InvalidInput for wrong files, SurrealError if the place does not answer."""
        if self.location is None and self.cluster_file is not None:
            return file_inventory(self.cluster_file, self.prices)
        return backend(self.location or THIS_MACHINE).pools(self.cluster_file, self.prices)
