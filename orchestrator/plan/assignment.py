"""Roles on the pools of a cluster: which pools, with which selectors and tolerations, and how many machines of each."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from surreal.orchestrator.experiment.model import RoleSpec
from surreal.orchestrator.plan.bin_packing import Packing
from surreal.orchestrator.plan.capacity import Demand, Spread, emptied, spread
from surreal.orchestrator.plan.feasibility import price
from surreal.orchestrator.plan.images import feasible_pools
from surreal.orchestrator.plan.model import PlannedPool, PlannedToleration
from surreal.protocol.documents.locations import Problem
from surreal.protocol.graph import Role
from surreal.provisioner.pools.labels import Toleration, tolerations
from surreal.provisioner.pools.model import NodePool
from surreal.provisioner.pools.node import ARCH, HOST, OS

Selector = dict[str, str | tuple[str, ...]]
DEARER = 2.0
"""A pool whose process costs more than this many times the first choice's is no fallback by itself."""


@dataclass(frozen=True)
class Place:
    """Pools and nodes of the processes of one role."""

    pool: str
    fallback: tuple[str, ...] = ()
    spot: bool = False
    selectors: tuple[Selector, ...] = ()
    tolerations: tuple[PlannedToleration, ...] = ()


@dataclass(frozen=True)
class Fleet:
    """All roles of a run on machines."""

    places: Mapping[str, Place]
    """Role -> where."""
    pools: tuple[PlannedPool, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def fleet(
    roles: Sequence[Role], specs: Mapping[str, RoleSpec], pools: Sequence[NodePool], images: Mapping[str, str]
) -> Fleet:
    """Place every role on the cluster's `pools` (at least one). With problems there are no places.

    `images` is role -> the image of its pods: all processes of one image run on one architecture.
    """
    found = feasible_pools(roles, specs, pools, images)
    warnings = [text for each in found.values() for text in each.warnings]
    if problems := [problem for each in found.values() for problem in each.problems]:
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
    used = {name for place in places.values() for name in (place.pool, *place.fallback)}
    warnings += [*_closed([pool for pool in pools if pool.name in used]), *_growth(pools, planned)]
    return Fleet(places, tuple(pool for pool in planned if pool.full), warnings=tuple(warnings))


def _demand(name: str, spec: RoleSpec, pools: Sequence[NodePool]) -> Demand:
    asked = spec.resources
    names = tuple(pool.name for pool in pools)
    return Demand(name, spec.most, asked.cpu, asked.memory, asked.gpu, asked.gpu_resource, names)


def _place(demand: Demand, pools: Sequence[NodePool], spec: RoleSpec, result: Spread) -> Place:
    """Return the pools that really get processes and, behind them, those to go to when the first have no machine."""
    used = [pool for pool in pools if _placed(result, pool.name, demand.role)] or [pools[0]]
    chosen = [*used, *_fallbacks(used, pools, spec)]
    endured = [each for pool in chosen for each in tolerations(pool.taints, _accelerator(spec))]
    selectors = tuple(_selector(pool) for pool in chosen)
    return Place(
        pool=chosen[0].name,
        fallback=tuple(pool.name for pool in chosen[1:]),
        spot=any(pool.spot for pool in chosen),
        # where a cluster has no labels that tell its nodes apart, any node will do
        selectors=selectors if all(selectors) else (),
        tolerations=tuple(_planned_toleration(each) for each in dict.fromkeys(endured)),
    )


def _fallbacks(used: Sequence[NodePool], pools: Sequence[NodePool], spec: RoleSpec) -> list[NodePool]:
    """Return further pools: the next that costs about the same, and behind spot machines one that stays."""
    rest = [pool for pool in pools if pool not in used]
    dearest = max(price(spec.resources, pool) for pool in used)
    similar = [pool for pool in rest if price(spec.resources, pool) <= DEARER * dearest][:1]
    steady = [pool for pool in rest if not pool.spot and pool not in similar][:1]
    needs_steady = all(pool.spot for pool in (*used, *similar))
    return [*similar, *(steady if needs_steady else [])]


def _accelerator(spec: RoleSpec) -> str:
    return spec.resources.gpu_resource if spec.resources.gpu else ""


def _selector(pool: NodePool) -> Selector:
    """Return labels of nodes that a pod needs; one of several values where only the nodes' names tell them apart."""
    hosts: Selector = {HOST: pool.hosts} if pool.hosts else {}
    machine = {OS: pool.os, ARCH: pool.arch}
    return {**pool.selector, **hosts, **{key: value for key, value in machine.items() if value}}


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
        price_bound=pool.price_bound,
        priced=pool.priced,
    )


def _too_many(demands: Sequence[Demand], pools: Sequence[NodePool], left: Mapping[str, int]) -> Problem:
    """Return the role that asks for most beyond what empty pools at their largest hold, and how many they do hold."""
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


def _closed(pools: Sequence[NodePool]) -> Iterator[str]:
    """Yield how many machines of a pool take no pods now, and why."""
    for pool in pools:
        if pool.closed:
            why = ", ".join(f"{count} {reason}" for reason, count in pool.closed.items())
            yield f"pool {pool.name!r}: {sum(pool.closed.values())} of {pool.nodes} machines take no pods now ({why})"


def _growth(pools: Sequence[NodePool], planned: Sequence[PlannedPool]) -> Iterator[str]:
    """Yield pools that must grow and whose bounds are unknown."""
    unknown = {pool.name: pool for pool in pools if pool.max_nodes is None}
    for pool in planned:
        if pool.full > pool.now and pool.name in unknown and unknown[pool.name].fixed:
            yield (
                f"pool {pool.name!r} needs {pool.full - pool.now} machines more than are free, and its machines are of "
                "no cloud that could add some: processes wait until there is room"
            )
        elif pool.full > pool.now and pool.name in unknown:
            yield (
                f"pool {pool.name!r} needs {pool.full - pool.now} machines more than are free; whether its autoscaler "
                "may add them is not known here: name the cluster's file with --pools"
            )
