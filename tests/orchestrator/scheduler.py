"""Kubernetes' scheduler in miniature, by its documentation and not by surreal's code: which pod fits which node.

Nodes are built from what the provisioner renders for Terraform and Karpenter, plus what each platform is documented to
add by itself; pods from what a Plan says.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from surreal.orchestrator.plan.model import PlannedRole
from surreal.provisioner.machine_types import Machine, machine_table
from surreal.provisioner.pools.reserved import allocatable
from surreal.provisioner.providers.registry import provider_of
from surreal.provisioner.spec.cluster import Cluster

EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}
SYSTEM_PODS = {"cpu": 0.25, "memory": 300 * 2**20}
"""What runs on every node besides; no more than surreal itself allows for."""


@dataclass(frozen=True)
class Node:
    """An empty node of one pool."""

    pool: str
    labels: dict[str, str]
    taints: tuple[dict[str, str], ...]
    free: dict[str, float]


@dataclass(frozen=True)
class Pod:
    """A pod of one role, or of anybody."""

    terms: tuple[dict[str, str | tuple[str, ...]], ...]
    """nodeSelectorTerms: one of them must match; none is any node."""
    tolerations: tuple[dict[str, str], ...]
    asks: dict[str, float]


def fits(pod: Pod, node: Node) -> bool:
    """Node affinity, taints and resources, as the scheduler filters by them."""
    wanted = not pod.terms or any(_matches(term, node) for term in pod.terms)
    return wanted and _endures(pod, node) and all(node.free.get(kind, 0) >= much for kind, much in pod.asks.items())


def _matches(term: dict[str, str | tuple[str, ...]], node: Node) -> bool:
    values = {key: (value,) if isinstance(value, str) else value for key, value in term.items()}
    return all(node.labels.get(key) in allowed for key, allowed in values.items())


def _endures(pod: Pod, node: Node) -> bool:
    hard = [taint for taint in node.taints if taint["effect"] in ("NoSchedule", "NoExecute")]
    return all(any(_tolerates(toleration, taint) for toleration in pod.tolerations) for taint in hard)


def _tolerates(toleration: dict[str, str], taint: dict[str, str]) -> bool:
    if toleration.get("effect") not in (None, taint["effect"]) or toleration["key"] != taint["key"]:
        return False
    return toleration["operator"] == "Exists" or toleration.get("value", "") == taint.get("value", "")


def pod_of(role: PlannedRole) -> Pod:
    """The pod that a backend makes of a planned role."""
    tolerations = tuple(
        {
            "key": each.key,
            "operator": "Exists" if each.value is None else "Equal",
            **({} if each.value is None else {"value": each.value}),
            **({} if each.effect is None else {"effect": each.effect}),
        }
        for each in role.tolerations
    )
    asked = role.resources
    asks = {"cpu": asked.cpu, "memory": float(asked.memory)} | ({"nvidia.com/gpu": asked.gpu} if asked.gpu else {})
    return Pod(role.selectors, tolerations, asks)


def nodes_of(cluster: Cluster) -> Iterator[Node]:
    """One empty node of every pool that is rendered."""
    provider = provider_of(cluster)
    rendered = provider.render(cluster, machine_table())
    resources = rendered["main.tf.json"]["resource"]
    for name, block in resources.get("google_container_node_pool", {}).items():
        yield _google(name, block["node_config"])
    for name, block in resources.get("aws_eks_node_group", {}).items():
        yield _amazon(name.partition("-zone-")[0], block)
    for item in provider.objects(cluster, machine_table()):
        if item["kind"] == "NodePool":
            yield _karpenter(item)


def _google(name: str, config: dict[str, Any]) -> Node:
    labels = {**config["labels"], "cloud.google.com/gke-nodepool": name}
    taints = _taints(config["taint"])
    gpus = sum(each["count"] for each in config.get("guest_accelerator", []))
    if config["spot"]:
        labels["cloud.google.com/gke-spot"] = "true"
    if gpus:
        taints += ({"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},)
    return _node("gke", name, config["machine_type"], labels, taints, gpus)


def _amazon(name: str, block: dict[str, Any]) -> Node:
    (machine,) = block["instance_types"]
    labels = {
        **block["labels"],
        "eks.amazonaws.com/nodegroup": name,
        "eks.amazonaws.com/capacityType": block["capacity_type"],
    }
    return _node("eks", name, machine, labels, _taints(block["taint"]), _machine("eks", machine).gpus)


def _karpenter(item: dict[str, Any]) -> Node:
    template, name = item["spec"]["template"], item["metadata"]["name"]
    required = {each["key"]: each["values"][0] for each in template["spec"]["requirements"]}
    labels = {**template["metadata"]["labels"], **required, "karpenter.sh/nodepool": name}
    machine = required["node.kubernetes.io/instance-type"]
    return _node("eks", name, machine, labels, tuple(template["spec"]["taints"]), _machine("eks", machine).gpus)


def _taints(blocks: list[dict[str, str]]) -> tuple[dict[str, str], ...]:
    return tuple({**block, "effect": EFFECTS[block["effect"]]} for block in blocks)


def _machine(provider: str, name: str) -> Machine:
    machine = machine_table().find(provider, name)
    assert machine is not None
    return machine


def _node(
    provider: str, pool: str, name: str, labels: dict[str, str], taints: tuple[dict[str, str], ...], gpus: int
) -> Node:
    machine = _machine(provider, name)
    cpu, memory = allocatable(provider, machine.cpu, machine.memory, machine.pods)
    free = {"cpu": cpu - SYSTEM_PODS["cpu"], "memory": memory - SYSTEM_PODS["memory"], "nvidia.com/gpu": gpus}
    system = {"kubernetes.io/os": "linux", "kubernetes.io/arch": machine.arch or "amd64"}
    return Node(pool, {**labels, **system, "node.kubernetes.io/instance-type": name}, taints, free)
