"""Pools of a live cluster from its nodes. Pure functions over the API's plain JSON."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce

from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import FORBIDDEN, ApiError
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.resources import Amount, Json, asked_by, most
from surreal.provisioner.machine_types import Machine, MachineTable
from surreal.provisioner.pools.kinds import Kind, kinds
from surreal.provisioner.pools.labels import PLATFORMS, REGION, ZONE
from surreal.provisioner.pools.model import NodePool, Room
from surreal.provisioner.pools.node import Node, read_node

MIB = 1 << 20


def inventory(nodes: Iterable[Json], pods: Iterable[Json] | None, table: MachineTable) -> tuple[NodePool, ...]:
    """Return the pools of a cluster, in order of name.

    `nodes` and `pods` are the items of the API's lists as plain JSON. Without `pods` (who may not list those of other
    namespaces) every node counts as free. What the pods of DaemonSets ask for is taken off each node's offer. One name
    on two platforms (Karpenter beside managed groups) is `POOL/PLATFORM`.
    """
    read = [node for node in map(read_node, nodes) if node is not None]
    used, system = _use(pods or ())
    groups: dict[tuple[str, str], list[Node]] = defaultdict(list)
    for node in read:
        groups[node.platform, node.group].append(node)
    platforms = Counter(name for _, name in groups)
    pools = []
    for (platform, name), group in groups.items():
        base = name if platforms[name] == 1 else f"{name}/{platform}"
        for kind in kinds(base, group, read):
            rooms = _rooms(kind.nodes, used) if pods is not None else ()
            pools.append(_pool(kind, reduce(most, (system[node.name] for node in kind.nodes)), rooms, table))
    return tuple(sorted(pools, key=lambda pool: pool.name))


def merged(declared: Sequence[NodePool], live: Sequence[NodePool]) -> tuple[NodePool, ...]:
    """Return the pools of a cluster file with the nodes that are there: bounds by the file, all else by the nodes."""
    bounds = {pool.name: pool for pool in declared}
    seen = {pool.group for pool in live}
    found = [
        replace(pool, min_nodes=bounds[pool.group].min_nodes, max_nodes=bounds[pool.group].max_nodes)
        if pool.group in bounds
        else pool
        for pool in live
    ]
    return (*(pool for pool in declared if pool.name not in seen), *found)


def _use(pods: Iterable[Json]) -> tuple[dict[str, Amount], dict[str, Amount]]:
    """Return node's name -> what its pods ask for, and what of that every node of its kind carries (DaemonSets)."""
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


def _rooms(nodes: Sequence[Node], used: Mapping[str, Amount]) -> tuple[Room, ...]:
    """Return what is left on each node, equal ones counted together; nothing on one that takes no pods now."""
    counted: Counter[tuple[float, int, int, int, tuple[tuple[str, int], ...]]] = Counter()
    for node in nodes:
        has, gone = node.offers, used[node.name]
        left = has.cpu - gone.cpu, has.memory - gone.memory, has.gpus - gone.gpus, has.pods - gone.pods
        cpu, memory, gpus, pods = (0.0 if node.closed else max(0.0, value) for value in left)
        others = {} if node.closed else has.accelerators
        rest = tuple((name, max(0, count - gone.accelerators.get(name, 0))) for name, count in sorted(others.items()))
        # whole MiB, so that equal nodes are equal
        counted[round(cpu, 3), int(memory) // MIB * MIB, int(gpus), int(pods), rest] += 1
    return tuple(Room(nodes, *left[:-1], dict(left[-1])) for left, nodes in counted.items())


def _pool(kind: Kind, system: Amount, rooms: tuple[Room, ...], table: MachineTable) -> NodePool:
    """Return the pool of one kind; `system` is what every node of it carries."""
    first, nodes = kind.nodes[0], kind.nodes
    price, bound_price, priced = _price(first, table)
    fixed = all(node.fixed for node in nodes)
    # a process without its GPU never runs; too few cores may only mean that some wait for their turn
    bound = len(nodes) if fixed and first.accelerated else None
    return NodePool(
        name=kind.name,
        nodes=len(nodes),
        cpu=round(max(0.0, min(node.offers.cpu for node in nodes) - system.cpu), 3),
        memory=int(max(0.0, min(node.offers.memory for node in nodes) - system.memory)) // MIB * MIB,
        gpus=first.offers.gpus,
        gpu_type=first.gpu_type,
        accelerators=dict(first.offers.accelerators),
        accelerated=first.accelerated,
        os=first.os,
        arch=first.arch,
        control_plane=first.control_plane,
        provider=first.platform,
        machine=first.machine,
        min_nodes=bound,
        max_nodes=bound,
        fixed=fixed,
        pods=max(0, min(node.offers.pods for node in nodes) - system.pods),
        spot=first.spot_mark is not None,
        zones=tuple(sorted({node.labels[ZONE] for node in nodes if ZONE in node.labels})),
        region=first.labels.get(REGION),
        price=price,
        price_bound=bound_price,
        priced=priced,
        selector=kind.selector,
        hosts=kind.hosts,
        taints=first.taints,
        closed=dict(sorted(Counter(node.closed for node in nodes if node.closed).items())),
        rooms=rooms,
    )


def _price(node: Node, table: MachineTable) -> tuple[float | None, float | None, str]:
    """Return what the machine costs an hour, at most, and the source; None and nothing if it is unknown."""
    gpus = node.offers.gpus
    provider = PLATFORMS[node.platform].provider
    machine: Machine | None = table.find(provider, node.machine or "")
    if machine is not None and gpus and not machine.gpus:
        try:
            machine = table.with_gpus(provider, machine, node.gpu_type or "", gpus)
        except ValueError:
            # GPUs that the table cannot price; the machine alone would be too cheap
            machine = None
    if machine is None or machine.price is None:
        return None, None, ""
    price = machine.spot_price if node.spot_mark else machine.price
    return price, machine.price if price is None else price, table.priced(machine)


class NodesHiddenError(SurrealError):
    """The user may not list the nodes, as is usual for people who have a namespace and no more."""


def live_pools(table: MachineTable, context: str | None = None, kubeconfig: str | None = None) -> tuple[NodePool, ...]:
    """Return the pools of the cluster of a kubeconfig context (the current one if None).

    Raises InvalidInput without a usable kubeconfig, NodesHiddenError where the nodes may not be listed, SurrealError
    when the cluster does not answer.
    """
    api = Api.connect(kubeconfig, context)
    nodes = _listed(api, "Node")
    if nodes is None:
        raise NodesHiddenError(
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
