"""Parts that the files of all clouds share.

Terraform reads every string as a template. The models of a Cluster let neither `$` nor `%` through, so that what a
person wrote is never evaluated.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from surreal.provisioner.machine_types import Machine
from surreal.provisioner.pools import labels
from surreal.provisioner.pools.from_file import extra_taints
from surreal.provisioner.spec.cluster import Cluster, PoolSpec

Block = dict[str, Any]
Machines = dict[str, Machine]
"""Pool's name -> one of its machines."""

TERRAFORM = ">= 1.5"
"""1.5 is the last free Terraform and what OpenTofu began from."""
TERRAFORM_LOCKS_S3 = ">= 1.10"
"""The first that keeps a lock beside a state in S3; an older one would refuse the argument."""
MANAGED = {"managed-by": "surreal"}
MAX_ACCOUNT = 30
"""Longest id of a Google service account."""


def settings(cluster: Cluster, providers: dict[str, tuple[str, str]]) -> Block:
    """Return the `terraform` block: provider -> (source, version), and where the state lies."""
    required = {name: {"source": source, "version": version} for name, (source, version) in providers.items()}
    state = cluster.spec.state
    version = TERRAFORM_LOCKS_S3 if state and state.backend == "s3" else TERRAFORM
    return {"required_version": version, "required_providers": required, **_backend(cluster)}


def _backend(cluster: Cluster) -> Block:
    state = cluster.spec.state
    if state is None:
        return {}
    folder = f"{state.prefix.strip('/')}/{cluster.name}"
    if state.backend == "gcs":
        return {"backend": {"gcs": {"bucket": state.bucket, "prefix": folder}}}
    place = {"bucket": state.bucket, "key": f"{folder}/terraform.tfstate", "region": state.region}
    # the lock is a file beside the state, which Terraform and OpenTofu know since 1.10
    return {"backend": {"s3": {**place, "encrypt": True, "use_lockfile": True}}}


def variable(description: str, kind: str, default: Any) -> Block:
    """Return one input, with the value of the cluster file as its default."""
    return {"description": description, "type": kind, "default": default}


def shared_variables(cluster: Cluster) -> Block:
    """Return the inputs that every cloud has."""
    network = cluster.spec.network
    return {
        "region": variable("Where the cluster is.", "string", cluster.spec.region),
        "cidr": variable("Addresses of the nodes.", "string", network.cidr),
        "allowed_cidrs": variable(
            "From where the Kubernetes API may be reached.", "list(string)", list(network.allowed_cidrs)
        ),
        "deletion_protection": variable("Refuse to delete the cluster.", "bool", cluster.spec.deletion_protection),
    }


def output(description: str, value: str) -> Block:
    """Return one thing to be known when the cluster is there."""
    return {"description": description, "value": value}


def fixed_pools(cluster: Cluster) -> list[PoolSpec]:
    """Return the pools whose machines we make, not the provider."""
    return [pool for pool in cluster.spec.pools if not pool.autoprovision]


def made_to_measure(cluster: Cluster) -> list[PoolSpec]:
    """Return the pools whose machines the provider makes for pending pods."""
    return [pool for pool in cluster.spec.pools if pool.autoprovision]


def _platform(cluster: Cluster, pool: PoolSpec) -> str:
    return labels.platform_of(cluster.spec.provider, pool.autoprovision)


def node_labels(cluster: Cluster, pool: PoolSpec) -> dict[str, str]:
    """Return the labels to write on a pool's nodes, from the one table."""
    return labels.written_labels(_platform(cluster, pool), pool.name, pool.spot, pool.labels)


def node_taints(cluster: Cluster, pool: PoolSpec, machine: Machine) -> Sequence[labels.Taint]:
    """Return the taints to write on a pool's nodes, from the one table."""
    return labels.written_taints(
        _platform(cluster, pool), pool.name, pool.spot, gpu=machine.gpus > 0, extra=extra_taints(pool)
    )


EFFECTS = {"NoSchedule": "NO_SCHEDULE", "PreferNoSchedule": "PREFER_NO_SCHEDULE", "NoExecute": "NO_EXECUTE"}
"""Kubernetes' word -> that of both clouds."""


def taint_blocks(taints: Sequence[labels.Taint]) -> list[Block]:
    """Return taints as nested blocks, which both clouds spell the same."""
    return [{"key": taint.key, "value": taint.value, "effect": EFFECTS[taint.effect]} for taint in taints]


def gigabytes(size: int) -> int:
    """Return bytes -> whole GiB, rounded up."""
    return -(-size // 2**30)


def short_name(name: str, suffix: str, longest: int = MAX_ACCOUNT) -> str:
    """Return `NAME-SUFFIX`, with a digest for the part that does not fit."""
    whole = f"{name}-{suffix}"
    if len(whole) <= longest:
        return whole
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{name[: longest - len(suffix) - 8].rstrip('-')}-{digest}-{suffix}"
