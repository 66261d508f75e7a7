"""From an experiment to the plan for a place: what `create`, `plan`, `render` and `diff` all begin with."""

from dataclasses import dataclass, replace
from pathlib import Path

from surreal.orchestrator.backends.base import backend
from surreal.orchestrator.experiment.model import Experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run import code_archive as code
from surreal.orchestrator.run.home import home
from surreal.orchestrator.run.location import LOCAL, Location
from surreal.protocol.errors import InvalidInput, did_you_mean
from surreal.provisioner.pools.model import NodePool


def plan_for(
    experiment: Experiment,
    location: Location | None = None,
    cluster_file: Path | None = None,
    prices: Path | None = None,
) -> Plan:
    """The plan of `experiment` on the machines of a place, of a cluster file, or of both; this machine without either.

    Raises InvalidInput at the lines of the experiment, and SurrealError where the place cannot be asked.
    """
    found = find_pools(location, cluster_file, prices)
    plan = make_plan(experiment, found.pools)
    if location:
        plan = backend(location).resolve(plan)
    beside = Path(experiment.source.name).absolute().parent
    about_code = code.warnings(
        plan.code, beside, plan.env["id"], remote=location is not None and location.backend != LOCAL
    )
    return plan.model_copy(update={"warnings": (*found.warnings, *plan.warnings, *about_code)})


PLACES = ("local", "kube")
"""Location there are machines to ask."""
_ANY = NodePool("cluster", nodes=1, cpu=1e6, memory=2**60, provider="existing", pods=10**6)
HIDDEN_NODES = (_ANY, replace(_ANY, name="cluster-gpu", gpus=10**6))
"""What stands for a cluster whose nodes one may not list: its scheduler decides, and nothing is said of room."""


@dataclass(frozen=True)
class Inventory:
    """Pools, at least one, and what the person should know of them."""

    pools: tuple[NodePool, ...]
    warnings: tuple[str, ...] = ()


def find_pools(
    location: Location | None = None, cluster_file: Path | None = None, prices: Path | None = None
) -> Inventory:
    """The pools of `location` (`local`, `kube`), of a cluster file, or the live ones with the file's bounds and prices.

    Without either it is this machine. Raises InvalidInput for an unknown place, a wrong file, a kubeconfig that cannot
    be used and a cluster without nodes; SurrealError when the cluster does not answer.
    """
    on = location.backend if location else None
    if on not in (None, *PLACES):
        raise InvalidInput(f"--on {on}: no machines to ask there{did_you_mean(str(on), PLACES)}; local or kube")
    if on == "local" and cluster_file:
        raise InvalidInput(f"--on local and {cluster_file} exclude each other: a machine of one's own needs no file")
    if on == "kube" or cluster_file:
        return _cluster(location if on == "kube" else None, cluster_file, prices)
    from surreal.provisioner.pools.local import local_pool

    return Inventory((local_pool(),))


def own_prices(named: Path | None = None) -> Path | None:
    """The file of one's own prices: the one that is named, else SURREAL_HOME/prices.yaml if it is there."""
    usual = home() / "prices.yaml"
    return named or (usual if usual.exists() else None)


def _cluster(live: Location | None, cluster_file: Path | None, prices: Path | None) -> Inventory:
    from surreal.provisioner.cluster.load import load_cluster
    from surreal.provisioner.machine_types import machine_table
    from surreal.provisioner.pools.from_file import declared_pools
    from surreal.provisioner.pools.from_nodes import merged

    table = machine_table(own_prices(prices))
    cluster = load_cluster(cluster_file) if cluster_file else None
    declared, warnings = declared_pools(cluster, table) if cluster else ((), ())
    if not live:
        return Inventory(declared, warnings)
    from surreal.provisioner.pools.from_cluster import NodesHidden, live_pools

    context = live.context or (cluster.spec.context if cluster else None)
    try:
        there = live_pools(table, context, live.kubeconfig)
    except NodesHidden:
        if not declared:
            return Inventory(HIDDEN_NODES, ("you may not list the cluster's nodes: whether all fits is not known",))
        there = ()
    found = merged(declared, there)
    if not found:
        raise InvalidInput("the cluster has no nodes; name its file with -f to plan for pools that start from zero")
    return Inventory(found, warnings)
