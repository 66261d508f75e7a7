"""The nodes of a live cluster -> pools, by the labels of each platform. Pure functions over the API's plain JSON.

Nodes that share the platform's pool label are one pool; where they differ in machine type or spot (Karpenter, mixed
instance types) each kind is a pool of its own, called `POOL/MACHINE` and `POOL/MACHINE-spot`. One name on two platforms
(Karpenter beside managed groups) is `POOL/PLATFORM`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from surreal.provisioner.kube.resources import Amount, Json, amount, asked_by, most, quantity
from surreal.provisioner.machine_types import Machine, MachineTable
from surreal.provisioner.pools.labels import MACHINE, PLATFORMS, POOL, REGION, ZONE, Taint
from surreal.provisioner.pools.model import NodePool, Room

PASSING = (
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "node.cilium.io/",
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
    "karpenter.sh/disrupted",
    "karpenter.sh/unregistered",
)
"""Beginnings of the keys of taints that come and go with a node's state; no pod is to tolerate them."""

MIB = 1 << 20


@dataclass(frozen=True)
class _Node:
    name: str
    platform: str
    pool: str
    found_by: str
    """The label whose value is the pool's name; empty where no label tells pools apart."""
    spot: bool
    machine: str | None
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    offers: Amount
    ready: bool


def inventory(nodes: Iterable[Json], pods: Iterable[Json] | None, table: MachineTable) -> tuple[NodePool, ...]:
    """The pools of a cluster, in order of name.

    `nodes` and `pods` are the items of the API's lists as plain JSON. Without `pods` (who may not list those of other
    namespaces) every node counts as free. What the pods of DaemonSets ask for is taken off each node's offer.
    """
    read = [node for node in map(_node, nodes) if node is not None]
    used, system = _use(pods or ())
    kinds: dict[tuple[str, str], dict[tuple[str | None, bool], list[_Node]]] = defaultdict(lambda: defaultdict(list))
    for node in read:
        kinds[node.platform, node.pool][node.machine, node.spot].append(node)
    platforms = Counter(pool for _, pool in kinds)
    pools = []
    for (platform, name), groups in kinds.items():
        base = name if platforms[name] == 1 else f"{name}/{platform}"
        for same in groups.values():
            rooms = _rooms(same, used) if pods is not None else ()
            pools.append(
                _pool(same, base, len(groups) > 1, reduce(most, (system[node.name] for node in same)), rooms, table)
            )
    return tuple(sorted(pools, key=lambda pool: pool.name))


def merged(declared: Sequence[NodePool], live: Sequence[NodePool]) -> tuple[NodePool, ...]:
    """The pools of a cluster file with the nodes that are there: bounds by the file, everything else by the nodes."""
    bounds = {pool.name: pool for pool in declared}
    seen = {pool.group for pool in live}
    found = [
        replace(pool, min_nodes=bounds[pool.group].min_nodes, max_nodes=bounds[pool.group].max_nodes)
        if pool.group in bounds
        else pool
        for pool in live
    ]
    return (*(pool for pool in declared if pool.name not in seen), *found)


def _node(item: Json) -> _Node | None:
    """One node, or None for one that has not said yet what it has."""
    metadata, spec, status = item.get("metadata", {}), item.get("spec", {}), item.get("status", {})
    marks: Mapping[str, str] = metadata.get("labels") or {}
    offers = status.get("allocatable")
    if not offers:
        return None
    platform = next((name for name, each in PLATFORMS.items() if each.mark and each.mark in marks), "existing")
    row = PLATFORMS[platform]
    found_by = next((key for key in (POOL, row.pool, row.mark or POOL, MACHINE) if key in marks), "")
    taints = [Taint(t["key"], t.get("value", ""), t["effect"]) for t in spec.get("taints") or ()]
    passing = [taint for taint in taints if taint.key.startswith(PASSING)]
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ())
    return _Node(
        name=metadata["name"],
        platform=platform,
        pool=marks.get(found_by) or "nodes",
        found_by=found_by,
        spot=marks.get(row.spot[0]) == row.spot[1],
        machine=marks.get(MACHINE),
        labels=marks,
        taints=tuple(taint for taint in taints if taint not in passing),
        offers=amount(offers, int(quantity(offers.get("pods", 0)))),
        ready=ready and not spec.get("unschedulable") and all(t.effect == "PreferNoSchedule" for t in passing),
    )


def _use(pods: Iterable[Json]) -> tuple[dict[str, Amount], dict[str, Amount]]:
    """Node's name -> what its pods ask for, and what of that every node of its kind carries (DaemonSets)."""
    used: dict[str, Amount] = defaultdict(Amount)
    system: dict[str, Amount] = defaultdict(Amount)
    for pod in pods:
        node = pod.get("spec", {}).get("nodeName")
        if not node or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            continue
        asked = asked_by(pod["spec"])
        used[node] += asked
        # Node owns the mirrors of static pods
        if any(owner.get("kind") in ("DaemonSet", "Node") for owner in pod["metadata"].get("ownerReferences") or ()):
            system[node] += asked
    return used, system


def _rooms(nodes: Sequence[_Node], used: Mapping[str, Amount]) -> tuple[Room, ...]:
    """What is left on each node, equal ones counted together; nothing on one that takes no pods now."""
    counted: Counter[tuple[float, int, int, int]] = Counter()
    for node in nodes:
        has, gone = node.offers, used[node.name]
        left = has.cpu - gone.cpu, has.memory - gone.memory, has.gpus - gone.gpus, has.pods - gone.pods
        cpu, memory, gpus, pods = (max(0.0, value) if node.ready else 0.0 for value in left)
        # whole MiB, so that equal nodes are equal
        counted[round(cpu, 3), int(memory) // MIB * MIB, int(gpus), int(pods)] += 1
    return tuple(Room(nodes, *left) for left, nodes in counted.items())


def _pool(
    nodes: Sequence[_Node],
    base: str,
    one_of_several: bool,
    system: Amount,
    rooms: tuple[Room, ...],
    table: MachineTable,
) -> NodePool:
    first = nodes[0]
    row = PLATFORMS[first.platform]
    gpus = max(node.offers.gpus for node in nodes)
    name = f"{base}/{first.machine}" + ("-spot" if first.spot else "") if one_of_several else base
    selector = {first.found_by: first.pool} if first.found_by else {}
    if base != first.pool and row.pool in first.labels:
        selector[row.pool] = first.labels[row.pool]
    if one_of_several and first.machine:
        selector[MACHINE] = first.machine
    if capacity := row.spot if first.spot else row.on_demand if one_of_several else None:
        selector[capacity[0]] = capacity[1]
    gpu_type = next((first.labels[key] for key in row.gpu_type if key in first.labels), None) if gpus else None
    price, priced = _price(first, gpus, gpu_type, table)
    return NodePool(
        name=name,
        nodes=len(nodes),
        cpu=round(max(0.0, min(node.offers.cpu for node in nodes) - system.cpu), 3),
        memory=int(max(0.0, min(node.offers.memory for node in nodes) - system.memory)) // MIB * MIB,
        gpus=gpus,
        gpu_type=gpu_type,
        provider=first.platform,
        machine=first.machine,
        pods=max(0, min(node.offers.pods for node in nodes) - system.pods),
        spot=first.spot,
        zones=tuple(sorted({node.labels[ZONE] for node in nodes if ZONE in node.labels})),
        region=first.labels.get(REGION),
        price=price,
        priced=priced,
        selector=selector,
        taints=tuple(sorted({taint for node in nodes for taint in node.taints})),
        rooms=rooms,
    )


def _price(node: _Node, gpus: int, gpu_type: str | None, table: MachineTable) -> tuple[float | None, str]:
    """What the machine costs an hour, and who says so; None and nothing where nobody does."""
    provider = PLATFORMS[node.platform].provider
    machine: Machine | None = table.find(provider, node.machine or "")
    if machine is not None and gpus and not machine.gpus:
        try:
            machine = table.with_gpus(provider, machine, gpu_type or "", gpus)
        except ValueError:
            # GPUs that the table cannot price; the machine alone would be too cheap
            machine = None
    price = machine and (machine.spot_price if node.spot else machine.price)
    return (price, table.priced(machine)) if machine and price else (None, "")
