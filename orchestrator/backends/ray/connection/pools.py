"""Machines of a Ray cluster as pools: nodes of one group, or equal ones where the cluster names no groups."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from surreal.orchestrator.backends.ray.placement import KIND
from surreal.provisioner.pools.model import NodePool, Room
from surreal.provisioner.pools.reserved import MAX_PODS

GROUP, OWN = "ray.io/node-group", "surreal.dev/pool"
"""Labels that name a node's group: Ray's own, which KubeRay sets, and one for clusters without."""
MIB = 2**20
Node = Mapping[str, Any]
Free = Mapping[str, Mapping[str, float]]
"""Node id -> what is free on it."""


def pools(nodes: Sequence[Node], free: Free) -> tuple[NodePool, ...]:
    """Return the pools of the nodes that live. Nodes without a CPU or memory of their own run no process."""
    groups: dict[tuple[Any, ...], list[Node]] = {}
    for node in nodes:
        if node["Resources"].get("CPU"):
            groups.setdefault(_kind(node), []).append(node)
    ordered = sorted(groups.items(), key=lambda item: (item[0][1] > 0, -len(item[1]), str(item[0])))
    names = _names([kind for kind, _ in ordered])
    return tuple(_pool(name, kind, found, free) for name, (kind, found) in zip(names, ordered, strict=True))


def _kind(node: Node) -> tuple[Any, ...]:
    """Return what nodes of one pool share: group, GPUs, their type, CPUs, and memory to a sixteenth."""
    has, labels = node["Resources"], node["Labels"]
    group = labels.get(OWN) or labels.get(GROUP) or ""
    kind = next((name.removeprefix(KIND) for name in has if name.startswith(KIND)), "")
    memory = int(has.get("memory", 0))
    return group, int(has.get("GPU", 0)), kind, has["CPU"], memory.bit_length() if not group else 0


def _names(kinds: Iterable[tuple[Any, ...]]) -> list[str]:
    """Return a name for each: of its group, else `cpu` or its GPU's, numbered where one occurs twice."""
    seen: Counter[str] = Counter()
    names = []
    for group, gpus, kind, *_ in kinds:
        name = group or (kind.lower() or "gpu" if gpus else "cpu")
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return names


def _pool(name: str, kind: tuple[Any, ...], nodes: Sequence[Node], free: Free) -> NodePool:
    group, gpus, gpu_type, cpu, _ = kind
    label = OWN if any(OWN in node["Labels"] for node in nodes) else GROUP
    rooms = Counter(_room(node, free.get(node["NodeID"])) for node in nodes)
    # a cluster that names groups may scale them; how far is not told to its jobs
    bound = None if group and label == GROUP else len(nodes)
    return NodePool(
        name=name,
        nodes=len(nodes),
        cpu=float(cpu),
        memory=int(min(node["Resources"].get("memory", 0) for node in nodes)) // MIB * MIB,
        gpus=gpus,
        gpu_type=gpu_type or None,
        provider="ray",
        min_nodes=bound,
        max_nodes=bound,
        fixed=bound is not None,
        selector={label: group} if group else {},
        rooms=tuple(Room(count, cpus, memory, left, MAX_PODS) for (cpus, memory, left), count in rooms.items()),
    )


def _room(node: Node, free: Mapping[str, float] | None) -> tuple[float, int, int]:
    has = node["Resources"] if free is None else free
    return round(has.get("CPU", 0.0), 3), int(has.get("memory", 0)) // MIB * MIB, int(has.get("GPU", 0))
