"""The provider `eks`: rules, credentials and the kubeconfig of Amazon's Elastic Kubernetes Service."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from surreal.protocol.documents.locations import Problem
from surreal.provisioner import subprocesses
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.machine_types import MachineTable
from surreal.provisioner.providers.base import EKS, Pools, on_machine_of
from surreal.provisioner.providers.eks import cluster as files
from surreal.provisioner.providers.eks.karpenter import auto_mode
from surreal.provisioner.providers.terraform.common import Block, Machines
from surreal.provisioner.providers.terraform.provider import TerraformProvider, pool_machines
from surreal.provisioner.spec.cluster import Cluster

_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)
_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "credentials", "AWS_CONFIG_FILE": "config"}


class Eks(TerraformProvider):
    """Amazon's Elastic Kubernetes Service."""

    name = "eks"
    needed = {"region": "for example us-east-1"}
    programs = ("aws",)
    example_machine = "m7i.2xlarge"
    region_form = r"[a-z]{2,4}(-[a-z]+)+-[0-9]"
    versions = EKS

    def zone_stem(self, region: str) -> str:
        """Return `us-east-1` for the zones us-east-1a and so on."""
        return region

    def problems(self, spec: dict[str, Any], pools: Pools) -> Iterator[Problem]:
        """Yield what is wrong between keys, zones without a subnet among them."""
        yield from super().problems(spec, pools)
        if isinstance(kubernetes := spec.get("kubernetes"), dict) and "channel" in kubernetes:
            yield ("spec", "kubernetes", "channel"), "is for gke; say a version here"
        zones = spec.get("zones", [])
        if isinstance(zones, list):
            yield from _subnets(zones, pools)

    def credentials_missing(self, root: Path) -> str | None:
        """Look at the variables, the files and the machine that Terraform's AWS provider looks at."""
        places = [Path(os.environ.get(name) or Path.home() / ".aws" / file) for name, file in _FILES.items()]
        given = any(os.environ.get(name) for name in _VARIABLES) or any(place.exists() for place in places)
        if given or on_machine_of("Amazon", root):
            return None
        return "no AWS credentials: aws configure sso, or set AWS_PROFILE"

    def terraform(self, cluster: Cluster, machines: Machines) -> dict[str, Block]:
        """Return file name -> contents of the Terraform files."""
        return files.render(cluster, machines)

    def objects(self, cluster: Cluster, table: MachineTable) -> list[Object]:
        """Return the store's account, and Karpenter's NodePools and StorageClass of Auto Mode."""
        return [*super().objects(cluster, table), *auto_mode(cluster, pool_machines(cluster, table))]

    def context(self, cluster: Cluster) -> str:
        """Return the cluster's name, which `write_context` asks for."""
        return cluster.name

    def write_context(self, cluster: Cluster) -> None:
        """Have the AWS CLI write the context. Raises SurrealError with its words."""
        where = ["--region", str(cluster.spec.region)]
        subprocesses.run(["aws", "eks", "update-kubeconfig", "--name", cluster.name, "--alias", cluster.name, *where])


def _subnets(zones: list[Any], pools: Pools) -> Iterator[Problem]:
    """Yield zones that cannot be used: on EKS a zone has a subnet or no node."""
    if len(zones) == 1:
        yield ("spec", "zones"), "must be two zones or more: the control plane of EKS needs subnets in two"
    for index, pool in pools:
        wanted = pool.get("zones", [])
        for zone in wanted if isinstance(wanted, list) else []:
            if zone not in zones:
                listed = f"has only: {', '.join(map(str, zones))}" if zones else "says no zones"
                yield ("spec", "pools", index, "zones"), f"{zone!r} has no subnet: spec.zones {listed}"
