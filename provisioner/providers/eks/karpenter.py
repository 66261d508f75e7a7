"""Kubernetes objects of EKS Auto Mode: Karpenter's NodePools, which it makes machines from, and its StorageClass."""

from typing import Any

from surreal.protocol.documents.quantity import format_memory
from surreal.provisioner.machine_types import Machine
from surreal.provisioner.pools.labels import MACHINE, PLATFORMS, ZONE
from surreal.provisioner.providers.terraform.common import (
    Machines,
    fixed_pools,
    made_to_measure,
    node_labels,
    node_taints,
)
from surreal.provisioner.spec.cluster import Cluster, PoolSpec

STORAGE_CLASS = "auto-ebs"
NODE_CLASS = {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": "default"}
"""The class that EKS makes along with its own pool `system`."""


def auto_mode(cluster: Cluster, machines: Machines) -> list[dict[str, Any]]:
    """Return one karpenter.sh/v1 NodePool for each pool with `autoprovision`, and a StorageClass for their pods."""
    pools = made_to_measure(cluster)
    return [*([_storage_class(cluster)] if pools else []), *(_node_pool(cluster, p, machines[p.name]) for p in pools)]


def _storage_class(cluster: Cluster) -> dict[str, Any]:
    """Return the class of volumes that Auto Mode's nodes can mount: EKS makes none by itself.

    Beside fixed pools the driver's class for those is the default: no class serves both kinds of nodes.
    """
    default = {"storageclass.kubernetes.io/is-default-class": str(not fixed_pools(cluster)).lower()}
    only_auto = {"key": "eks.amazonaws.com/compute-type", "values": ["auto"]}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS, "annotations": default},
        "provisioner": "ebs.csi.eks.amazonaws.com",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowedTopologies": [{"matchLabelExpressions": [only_auto]}],
        "parameters": {"type": "gp3", "encrypted": "true"},
    }


def _node_pool(cluster: Cluster, pool: PoolSpec, machine: Machine) -> dict[str, Any]:
    taints = [
        {"key": taint.key, "value": taint.value, "effect": taint.effect}
        for taint in node_taints(cluster, pool, machine)
    ]
    template = {
        "metadata": {"labels": node_labels(cluster, pool)},
        "spec": {"nodeClassRef": NODE_CLASS, "requirements": _requirements(cluster, pool), "taints": taints},
    }
    limits = {"cpu": f"{pool.max * machine.cpu:g}", "memory": str(format_memory(pool.max * machine.memory))}
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": pool.name, "labels": {"app.kubernetes.io/managed-by": "surreal"}},
        "spec": {
            "template": template,
            "limits": limits,
            # a run is never moved to save a machine: a node goes when it is empty
            "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "5m"},
        },
    }


def _requirements(cluster: Cluster, pool: PoolSpec) -> list[dict[str, Any]]:
    marks = PLATFORMS["karpenter"]
    capacity = marks.spot if pool.spot else marks.on_demand
    assert capacity, "Karpenter marks both"
    wanted = {MACHINE: [pool.machine], capacity[0]: [capacity[1]]}
    zones = pool.zones or cluster.spec.zones
    if zones:
        wanted[ZONE] = list(zones)
    return [{"key": key, "operator": "In", "values": values} for key, values in wanted.items()]
