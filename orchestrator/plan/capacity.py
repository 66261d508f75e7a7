"""Machines of each pool that the run needs, now and when all of it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from surreal.orchestrator.plan.bin_packing import Load, Packing, Size, pack
from surreal.provisioner.pools.model import NodePool, Room

UNLIMITED = 10**6
"""Machines of a pool whose largest size is unknown."""


@dataclass(frozen=True)
class Demand:
    """All processes of one role, and the pools they may be on, the best first."""

    role: str
    replicas: int
    cpu: float
    """Cores of one process."""
    memory: int
    """Bytes of one process."""
    gpus: int
    """Accelerators of one process."""
    accelerator: str
    """Their resource name."""
    pools: tuple[str, ...]


@dataclass
class Spread:
    """Machines of all processes."""

    packings: dict[str, Packing] = field(default_factory=dict)
    """Pool -> what it gets."""
    left: dict[str, int] = field(default_factory=dict)
    """Role -> processes that find no machine, not even with all pools at their largest."""


def spread(demands: Sequence[Demand], pools: Sequence[NodePool]) -> Spread:
    """Pack every role on its first pool; what does not fit there goes to its next one, until all is placed or tried."""
    by_name = {pool.name: pool for pool in pools}
    kinds = sorted({demand.accelerator for demand in demands if demand.gpus})
    sizes = {demand.role: _asked(demand, kinds) for demand in demands}
    choices = {demand.role: list(demand.pools) for demand in demands}
    loads: dict[str, dict[str, int]] = {pool.name: {} for pool in pools}
    result = Spread()
    for demand in demands:
        loads[demand.pools[0]][demand.role] = demand.replicas
    changed = {demand.pools[0] for demand in demands}
    while changed:
        name = min(changed, key=list(loads).index)
        changed.discard(name)
        packing = _pack(by_name[name], loads[name], sizes, kinds)
        result.packings[name] = packing
        for role, count in packing.left.items():
            loads[name][role] -= count
            further = choices[role][choices[role].index(name) + 1 :]
            if further:
                loads[further[0]][role] = loads[further[0]].get(role, 0) + count
                changed.add(further[0])
            else:
                result.left[role] = result.left.get(role, 0) + count
    return result


def emptied(pools: Sequence[NodePool]) -> list[NodePool]:
    """Return the pools as they are when no other pod uses them."""
    return [replace(pool, rooms=()) for pool in pools]


def _pack(pool: NodePool, loads: Mapping[str, int], sizes: Mapping[str, Size], kinds: Sequence[str]) -> Packing:
    there = [(room.nodes, _offered(room, kinds)) for room in pool.free]
    limit = UNLIMITED if pool.max_nodes is None else max(0, pool.max_nodes - pool.nodes)
    fresh = _offered(pool, kinds)
    return pack([Load(role, count, sizes[role]) for role, count in loads.items() if count], there, fresh, limit)


def _offered(machine: NodePool | Room, kinds: Sequence[str]) -> Size:
    """Return what one machine offers: whole numbers of the resources that the scheduler counts."""
    return round(machine.cpu * 1000), machine.memory, machine.pods, *(machine.count(kind) for kind in kinds)


def _asked(demand: Demand, kinds: Sequence[str]) -> Size:
    """Return what one process asks for, in the order of `_offered`."""
    accelerators = (demand.gpus if kind == demand.accelerator else 0 for kind in kinds)
    return round(demand.cpu * 1000), demand.memory, 1, *accelerators
