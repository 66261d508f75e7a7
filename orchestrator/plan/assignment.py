"""Roles on the pools of a cluster: which pools, with which selectors and tolerations, and how many machines of each."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from surreal.orchestrator.experiment.model import RoleSpec
from surreal.orchestrator.plan.bin_packing import Packing
from surreal.orchestrator.plan.capacity import Demand, Spread, emptied, size, spread
from surreal.orchestrator.plan.feasibility import candidates
from surreal.orchestrator.plan.model import PlannedPool, PlannedToleration
from surreal.protocol.documents.locations import Problem
from surreal.protocol.graph import Role
from surreal.provisioner.pools.labels import Toleration, tolerations
from surreal.provisioner.pools.model import NodePool


@dataclass(frozen=True)
class Place:
    """Where the processes of one role run."""

    pool: str
    fallback: tuple[str, ...] = ()
    spot: bool = False
    selectors: tuple[dict[str, str], ...] = ()
    tolerations: tuple[PlannedToleration, ...] = ()


@dataclass(frozen=True)
class Fleet:
    """All roles of a run on machines."""

    places: Mapping[str, Place]
    """Role -> where."""
    pools: tuple[PlannedPool, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def fleet(roles: Sequence[Role], specs: Mapping[str, RoleSpec], pools: Sequence[NodePool]) -> Fleet:
    """Place every role on the cluster's `pools` (at least one). With problems there are no places."""
    found = {role.name: candidates(role, specs[role.name], pools) for role in roles}
    warnings = [text for each in found.values() for text in each.warnings]
    problems = [problem for each in found.values() for problem in each.problems]
    if problems:
        return Fleet({}, problems=tuple(problems))
    choices = {name: each.pools for name, each in found.items()}
    demands = [_demand(role.name, specs[role.name], choices[role.name]) for role in roles]
    result = spread(demands, pools)
    if result.left:
        largest = emptied(pools)
        if left := spread(demands, largest).left:
            return Fleet({}, problems=(_too_many(demands, largest, left),))
        warnings += [
            f"{count} processes of {name} wait until others leave room on {_names(choices[name])}"
            for name, count in result.left.items()
        ]
    places = {demand.role: _place(demand, choices[demand.role], specs[demand.role], result) for demand in demands}
    planned = tuple(_planned_pool(pool, result.packings[pool.name]) for pool in pools if pool.name in result.packings)
    return Fleet(places, tuple(p for p in planned if p.full), warnings=(*warnings, *_growth(pools, planned)))


def _demand(name: str, spec: RoleSpec, pools: Sequence[NodePool]) -> Demand:
    asked = spec.resources
    return Demand(name, spec.replicas, size(asked.cpu, asked.memory, asked.gpu), tuple(pool.name for pool in pools))


def _place(demand: Demand, pools: Sequence[NodePool], spec: RoleSpec, result: Spread) -> Place:
    """The pools that really get processes and, behind spot machines alone, the first that cannot be taken back."""
    used = [pool for pool in pools if _placed(result, pool.name, demand.role)] or [pools[0]]
    steady = [pool for pool in pools if not pool.spot]
    chosen = used if any(not pool.spot for pool in used) else [*used, *steady[:1]]
    endured = [each for pool in chosen for each in tolerations(pool.taints, gpu=spec.resources.gpu > 0)]
    return Place(
        pool=chosen[0].name,
        fallback=tuple(pool.name for pool in chosen[1:]),
        spot=any(pool.spot for pool in chosen),
        # where a cluster has no labels that tell its nodes apart, any node will do
        selectors=tuple(dict(pool.selector) for pool in chosen) if all(pool.selector for pool in chosen) else (),
        tolerations=tuple(_planned_toleration(each) for each in dict.fromkeys(endured)),
    )


def _placed(result: Spread, pool: str, role: str) -> int:
    return result.packings[pool].placed.get(role, 0) if pool in result.packings else 0


def _planned_toleration(toleration: Toleration) -> PlannedToleration:
    return PlannedToleration(key=toleration.key, value=toleration.value, effect=toleration.effect)


def _planned_pool(pool: NodePool, packing: Packing) -> PlannedPool:
    return PlannedPool(
        name=pool.name,
        provider=pool.provider,
        machine=pool.machine,
        spot=pool.spot,
        there=pool.nodes,
        now=packing.nodes_now,
        full=packing.nodes_now + packing.nodes_added,
        processes=packing.placed,
        price=pool.price,
        priced=pool.priced,
    )


def _too_many(demands: Sequence[Demand], pools: Sequence[NodePool], left: Mapping[str, int]) -> Problem:
    """The role that asks for most beyond what empty pools at their largest hold, and how many of it they do hold."""
    crowd = max(demands, key=lambda demand: left.get(demand.role, 0))
    others = [demand for demand in demands if demand is not crowd]

    def too_many(replicas: int) -> bool:
        return bool(spread([*others, replace(crowd, replicas=replicas)], pools).left)

    held = bisect_left(range(crowd.replicas), True, key=too_many) - 1
    sizes = {pool.name: pool.nodes if pool.max_nodes is None else pool.max_nodes for pool in pools}
    limits = ", ".join(f"{name!r} ({sizes[name]} machines)" for name in crowd.pools)
    held_text = f"must be {held} or less, not {crowd.replicas}" if held > 0 else "finds no room"
    text = f"{held_text}: pool {limits} at its largest holds no more beside the other roles; "
    return ("spec", "roles", crowd.role, "replicas"), text + "raise its max, ask for less per process, or add a pool"


def _names(pools: Sequence[NodePool]) -> str:
    return ", ".join(f"pool {pool.name!r}" for pool in pools)


def _growth(pools: Sequence[NodePool], planned: Sequence[PlannedPool]) -> Iterator[str]:
    """Pools that must grow and of which nobody here knows whether they may."""
    unknown = {pool.name for pool in pools if pool.max_nodes is None}
    for pool in planned:
        if pool.full > pool.now and pool.name in unknown:
            yield (
                f"pool {pool.name!r} needs {pool.full - pool.now} machines more than are free; whether its autoscaler "
                "may add them is not known here: name the cluster's file with --pools"
            )
