"""Which files a cluster's Terraform folder has."""

import json
from typing import Any

from surreal.protocol.errors import InvalidInput
from surreal.provisioner.cluster.spec import Cluster
from surreal.provisioner.machine_types import MachineTable
from surreal.provisioner.pools.from_file import declared_pools, pool_machine
from surreal.provisioner.providers.terraform import eks, gke
from surreal.provisioner.providers.terraform.common import made_to_measure
from surreal.provisioner.providers.terraform.karpenter import node_pools

NODE_POOLS = "nodepools.json"
"""Karpenter's NodePools, which go to the cluster once it is there."""


def files(cluster: Cluster, table: MachineTable) -> tuple[dict[str, Any], tuple[str, ...]]:
    """File name -> contents (plain data), and warnings.

    Raises InvalidInput, at the file's lines, for machines that cannot be had as they are described, and for a provider
    that has no Terraform.
    """
    _, warnings = declared_pools(cluster, table)
    machines = {pool.name: pool_machine(cluster, pool, table) for pool in cluster.spec.pools}
    if cluster.spec.provider == "gke":
        return gke.render(cluster, machines), warnings
    if cluster.spec.provider == "eks":
        rendered = eks.render(cluster, machines)
        if made_to_measure(cluster):
            rendered[NODE_POOLS] = {"apiVersion": "v1", "kind": "List", "items": node_pools(cluster, machines)}
        return rendered, warnings
    raise InvalidInput(f"{cluster.source.locate(('spec', 'provider'))}: {cluster.spec.provider} has no Terraform files")


def text(contents: Any) -> str:
    """Contents as they stand in the file."""
    return json.dumps(contents, indent=2) + "\n"
