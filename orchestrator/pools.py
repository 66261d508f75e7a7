"""Which pools a plan can use: this machine, a live cluster, the pools of a cluster file, or both of these together."""

from dataclasses import dataclass
from pathlib import Path

from surreal.orchestrator.home import home
from surreal.protocol.errors import InvalidInput
from surreal.protocol.nearest import did_you_mean
from surreal.provisioner.pools import NodePool

PLACES = ("local", "kube")
"""Where there are machines to ask."""


@dataclass(frozen=True)
class Inventory:
    """Pools, at least one, and what the person should know of them."""

    pools: tuple[NodePool, ...]
    warnings: tuple[str, ...] = ()


def find_pools(where: str | None = None, cluster_file: Path | None = None, prices: Path | None = None) -> Inventory:
    """The pools of `where` (`local`, `kube`), of a cluster file, or the live ones with the file's bounds and prices.

    Without either it is this machine. Raises InvalidInput for an unknown place, a wrong file, a kubeconfig that cannot
    be used and a cluster without nodes; SurrealError when the cluster does not answer.
    """
    if where not in (None, *PLACES):
        raise InvalidInput(f"--on {where}: no machines to ask there{did_you_mean(str(where), PLACES)}; local or kube")
    if where == "local" and cluster_file:
        raise InvalidInput(f"--on local and {cluster_file} exclude each other: a machine of one's own needs no file")
    if where == "kube" or cluster_file:
        return _cluster(where == "kube", cluster_file, prices)
    from surreal.provisioner.machine import local_pool

    return Inventory((local_pool(),))


def own_prices(named: Path | None = None) -> Path | None:
    """The file of one's own prices: the one that is named, else SURREAL_HOME/prices.yaml if it is there."""
    usual = home() / "prices.yaml"
    return named or (usual if usual.exists() else None)


def _cluster(live: bool, cluster_file: Path | None, prices: Path | None) -> Inventory:
    from surreal.provisioner.cluster import load_cluster
    from surreal.provisioner.declared import declared_pools
    from surreal.provisioner.inventory import merged
    from surreal.provisioner.machines import machine_table

    table = machine_table(own_prices(prices))
    cluster = load_cluster(cluster_file) if cluster_file else None
    declared, warnings = declared_pools(cluster, table) if cluster else ((), ())
    if not live:
        return Inventory(declared, warnings)
    from surreal.provisioner.live import live_pools

    found = merged(declared, live_pools(table, cluster.spec.context if cluster else None))
    if not found:
        raise InvalidInput("the cluster has no nodes; name its file with -f to plan for pools that start from zero")
    return Inventory(found, warnings)
