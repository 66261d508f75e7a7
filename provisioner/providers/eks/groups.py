"""Managed node groups of fixed pools: one in each zone, and what the autoscaler must know of those without a node.

A volume of EBS lies in one zone. A group over several zones may grow in another one than the volume that a learner
waits for, so a pool of machines that stay is a group for each zone. A pool of spot machines is one group over all: more
zones have more of them, and runs are not kept there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from surreal.provisioner.kube.resources import GPU
from surreal.provisioner.machine_names import architecture
from surreal.provisioner.machine_types import Machine
from surreal.provisioner.pools.labels import ZONE
from surreal.provisioner.providers.eks.network import node_subnets, zone_names
from surreal.provisioner.providers.terraform.common import (
    Block,
    Machines,
    fixed_pools,
    gigabytes,
    node_labels,
    node_taints,
    taint_blocks,
)
from surreal.provisioner.spec.cluster import Cluster, PoolSpec

_CLUSTER = "${aws_eks_cluster.this.name}"
_NODE_TEMPLATE = "k8s.io/cluster-autoscaler/node-template/"
EBS_ZONE = "topology.ebs.csi.aws.com/zone"
"""The label by which volumes of EBS find nodes of their zone."""


@dataclass(frozen=True)
class Group:
    """One managed node group."""

    key: str
    pool: PoolSpec
    min: int
    max: int
    zone: str = ""
    """The zone, or the expression that finds it; empty for all zones of the pool."""

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones that it grows in; empty for all of the cluster."""
        return (self.zone,) if self.zone else self.pool.zones


def groups_of(cluster: Cluster, pool: PoolSpec) -> list[Group]:
    """Return the groups of a pool. Its bounds are shared out, so that they hold for all zones together."""
    zones = {key: zone for key, zone in zone_names(cluster).items() if not pool.zones or zone in pool.zones}
    if pool.spot:
        return [Group(pool.name, pool, pool.min, pool.max)]
    # a group must be allowed one machine at least
    used = list(zones.items())[: pool.max]
    return [
        Group(f"{pool.name}-zone-{key}", pool, _share(pool.min, len(used), i), _share(pool.max, len(used), i), zone)
        for i, (key, zone) in enumerate(used)
    ]


def _share(total: int, parts: int, index: int) -> int:
    """Return the part of `total` that the group of that index gets; the first ones get one more."""
    return total // parts + (index < total % parts)


def all_groups(cluster: Cluster) -> list[Group]:
    """Return the groups of all fixed pools."""
    return [group for pool in fixed_pools(cluster) for group in groups_of(cluster, pool)]


def group_addresses(cluster: Cluster) -> list[str]:
    """Return the addresses of all groups, for what comes after them."""
    return [f"aws_eks_node_group.{group.key}" for group in all_groups(cluster)]


def node_groups(cluster: Cluster, machines: Machines, after: list[str]) -> Block:
    """Return launch templates, groups and the tags for the autoscaler."""
    return {
        "aws_launch_template": {pool.name: _launch_template(cluster, pool) for pool in fixed_pools(cluster)},
        "aws_eks_node_group": {group.key: _group(cluster, group, machines, after) for group in all_groups(cluster)},
        "aws_autoscaling_group_tag": _tags(cluster, machines),
    }


def _launch_template(cluster: Cluster, pool: PoolSpec) -> Block:
    """Return an encrypted disk, and a metadata service that pods cannot reach."""
    disk = {"volume_size": gigabytes(pool.disk), "volume_type": "gp3", "encrypted": True, "delete_on_termination": True}
    return {
        "name": f"{cluster.name}-{pool.name}",
        "update_default_version": True,
        "block_device_mappings": [{"device_name": "/dev/xvda", "ebs": disk}],
        "metadata_options": {"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1},
        "tag_specifications": [{"resource_type": "instance", "tags": {"Name": f"{cluster.name}-{pool.name}"}}],
    }


def _group(cluster: Cluster, group: Group, machines: Machines, after: list[str]) -> Block:
    pool, machine = group.pool, machines[group.pool.name]
    template = f"aws_launch_template.{pool.name}"
    return {
        "cluster_name": _CLUSTER,
        "node_group_name": group.key,
        "node_role_arn": "${aws_iam_role.node.arn}",
        "subnet_ids": node_subnets(cluster, group.zones),
        "instance_types": [pool.machine],
        "capacity_type": "SPOT" if pool.spot else "ON_DEMAND",
        "ami_type": ami_type(str(pool.machine), gpu=machine.gpus > 0),
        "labels": node_labels(cluster, pool),
        "taint": taint_blocks(node_taints(cluster, pool, machine)),
        "scaling_config": {"desired_size": group.min, "min_size": group.min, "max_size": group.max},
        "update_config": {"max_unavailable_percentage": 33},
        "node_repair_config": {"enabled": True},
        "launch_template": {"id": f"${{{template}.id}}", "version": f"${{{template}.latest_version}}"},
        "depends_on": after,
        # how many there are is the autoscaler's to say
        "lifecycle": {"ignore_changes": ["scaling_config[0].desired_size"]},
    }


def ami_type(machine: str, gpu: bool) -> str:
    """Return the image of a machine type: Amazon Linux 2023 for its processor, with NVIDIA's driver for GPUs."""
    arm = architecture("eks", machine) == "arm64"
    return f"AL2023_{'ARM_64' if arm else 'x86_64'}_{'NVIDIA' if gpu else 'STANDARD'}"


def _tags(cluster: Cluster, machines: Machines) -> Block:
    """Return what the autoscaler must know of the nodes of a group that has none: labels, taints, GPUs and zone."""
    tags: Block = {}
    for group in all_groups(cluster):
        name = f"${{aws_eks_node_group.{group.key}.resources[0].autoscaling_groups[0].name}}"
        for number, (key, value) in enumerate(_template(cluster, group, machines[group.pool.name])):
            tag = {"key": _NODE_TEMPLATE + key, "value": value, "propagate_at_launch": False}
            tags[f"{group.key}_{number}"] = {"autoscaling_group_name": name, "tag": tag}
    return tags


def _template(cluster: Cluster, group: Group, machine: Machine) -> Iterator[tuple[str, str]]:
    """Yield tag's key below `node-template/`, and value."""
    for key, value in node_labels(cluster, group.pool).items():
        yield f"label/{key}", value
    for taint in node_taints(cluster, group.pool, machine):
        yield f"taint/{taint.key}", f"{taint.value}:{taint.effect}"
    if machine.gpus:
        yield f"resources/{GPU}", str(machine.gpus)
    if group.zone:
        yield f"label/{ZONE}", group.zone
        yield f"label/{EBS_ZONE}", group.zone
