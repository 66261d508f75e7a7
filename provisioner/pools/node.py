"""One node of a live cluster, as far as the scheduler and the price of its machine are concerned."""

from collections.abc import Mapping
from dataclasses import dataclass

from surreal.provisioner.kube.resources import GPU, Amount, Json, amount, quantity
from surreal.provisioner.pools.labels import (
    ACCELERATOR_LABELS,
    MACHINE,
    PLATFORMS,
    POOL,
    POOL_LABELS,
    SPOT_MARKS,
    Taint,
)

OS, ARCH, HOST = "kubernetes.io/os", "kubernetes.io/arch", "kubernetes.io/hostname"
LINUX = "linux"
CONTROL_PLANE = (
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
    "node-role.kubernetes.io/controlplane",
    "node-role.kubernetes.io/etcd",
)
"""Keys of the labels and taints of machines that run the cluster itself."""
PASSING = {
    "node.kubernetes.io/unschedulable": "cordoned",
    "node.kubernetes.io/not-ready": "not ready",
    "node.kubernetes.io/unreachable": "not ready",
    "node.kubernetes.io/": "under pressure",
    "node.cloudprovider.kubernetes.io/": "starting",
    "node.cilium.io/": "starting",
    "karpenter.sh/unregistered": "starting",
    "ToBeDeletedByClusterAutoscaler": "being removed",
    "DeletionCandidateOfClusterAutoscaler": "being removed",
    "karpenter.sh/disrupted": "being removed",
}
"""Beginning of a taint's key -> the node's state. Such taints come and go; no pod is to tolerate them."""
_CLOUDS = ("gce://", "aws://", "azure://", "digitalocean://", "openstack://", "oci", "linode://", "hcloud://", "ibm://")
"""Beginnings of `providerID` on machines that a cloud can add more of."""


@dataclass(frozen=True)
class Node:
    """One node that has said what it has."""

    name: str
    platform: str
    """A row of `labels.PLATFORMS`."""
    group: str
    """The name that the platform gives to the pool; `nodes` without one."""
    found_by: str
    """The label whose value is the group; empty if no label tells groups apart."""
    spot_mark: tuple[str, str] | None
    """The label that says that the machine can be taken back."""
    machine: str | None
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    """Taints that stay."""
    offers: Amount
    gpu_type: str | None
    accelerated: bool
    """Has an accelerator of any kind, also one that offers nothing now."""
    control_plane: bool
    """Runs the cluster itself, and no label of ours says that it is a pool for experiments too."""
    fixed: bool
    """Belongs to no cloud that could add another one like it."""
    closed: str
    """The reason why it takes no pods now; empty if it does."""

    @property
    def os(self) -> str | None:
        """The operating system by its label."""
        return self.labels.get(OS)

    @property
    def arch(self) -> str | None:
        """The processor's architecture by its label: amd64, arm64."""
        return self.labels.get(ARCH)

    @property
    def host(self) -> str:
        """The value of the label that no other node has."""
        return self.labels.get(HOST, self.name)


def read_node(item: Json) -> Node | None:
    """Read one node as the API lists it; None for one that has not said yet what it has."""
    metadata, spec, status = item.get("metadata", {}), item.get("spec", {}), item.get("status", {})
    marks: Mapping[str, str] = metadata.get("labels") or {}
    offers = status.get("allocatable")
    if not offers:
        return None
    platform = next((name for name, row in PLATFORMS.items() if row.mark and row.mark in marks), "existing")
    row = PLATFORMS[platform]
    found_by = next((key for key in (POOL, row.pool, *POOL_LABELS, row.mark or POOL, MACHINE) if key in marks), "")
    taints = [Taint(taint["key"], taint.get("value", ""), taint["effect"]) for taint in spec.get("taints") or ()]
    passing = [taint for taint in taints if _state(taint)]
    lasting = tuple(sorted(taint for taint in taints if taint not in passing))
    has = amount(offers, int(quantity(offers.get("pods", 0))))
    on_cloud = row.cloud or str(spec.get("providerID", "")).startswith(_CLOUDS)
    return Node(
        name=metadata["name"],
        platform=platform,
        group=marks.get(found_by) or "nodes",
        found_by=found_by,
        spot_mark=next((mark for mark in (row.spot, *SPOT_MARKS) if marks.get(mark[0]) == mark[1]), None),
        machine=marks.get(MACHINE),
        labels=marks,
        taints=lasting,
        offers=has,
        gpu_type=next((marks[key] for key in row.gpu_type if key in marks), None) if has.gpus else None,
        accelerated=bool(has.gpus or has.accelerators or GPU in offers or any(k in marks for k in ACCELERATOR_LABELS)),
        control_plane=POOL not in marks and any(k in CONTROL_PLANE for k in (*marks, *(t.key for t in lasting))),
        fixed=not on_cloud and found_by not in POOL_LABELS,
        closed=_closed(spec, status, passing),
    )


def _state(taint: Taint) -> str | None:
    """Return the passing state that a taint stands for; None for a taint that stays."""
    # drivers of volumes and networks keep pods away until their agent runs
    if taint.key.endswith("agent-not-ready"):
        return "starting"
    return next((state for key, state in PASSING.items() if taint.key.startswith(key)), None)


def _closed(spec: Json, status: Json, passing: list[Taint]) -> str:
    """Return why a node takes no pods now; empty if it does."""
    if spec.get("unschedulable"):
        return "cordoned"
    hard = [taint for taint in passing if taint.effect != "PreferNoSchedule"]
    if states := [state for taint in hard if (state := _state(taint))]:
        return states[0]
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())
    return "" if ready else "not ready"
