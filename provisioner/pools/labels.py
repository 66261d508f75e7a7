"""The one table of labels and taints: what nodes carry, what pods select and tolerate, for each platform.

Who makes pools writes `written_labels` and `written_taints`; who places pods reads `selector` and `tolerations`. Both
come from PLATFORMS, so they agree by construction. Where a platform has a mark of its own it is used;
where it has none it is one of ours under `surreal.dev/`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from surreal.provisioner.kube.resources import GPU, is_accelerator

Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
Labels = Mapping[str, str]

POOL = "surreal.dev/pool"
"""The label that every node of a pool of ours has; its value is the pool's name."""
SPOT = "surreal.dev/spot"
"""The label and taint of machines that can be taken back, on platforms without a mark of their own."""
MACHINE = "node.kubernetes.io/instance-type"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
POOL_LABELS = (
    "doks.digitalocean.com/node-pool",
    "lke.linode.com/pool-id",
    "k8s.scaleway.com/pool-name",
    "ibm-cloud.kubernetes.io/worker-pool-name",
    "vke.vultr.com/node-pool",
    "kubernetes.civo.com/civo-node-pool",
    "alibabacloud.com/nodepool-id",
    "kops.k8s.io/instancegroup",
    "alpha.eksctl.io/nodegroup-name",
    "cloud.google.com/gke-nodepool",
    "eks.amazonaws.com/nodegroup",
    "karpenter.sh/nodepool",
    "kubernetes.azure.com/agentpool",
)
"""Labels with the name of a pool that its platform can add machines to."""
SPOT_MARKS = (
    ("cloud.google.com/gke-spot", "true"),
    ("cloud.google.com/gke-preemptible", "true"),
    ("cloud.google.com/gke-provisioning", "spot"),
    ("cloud.google.com/gke-provisioning", "preemptible"),
    ("eks.amazonaws.com/capacityType", "SPOT"),
    ("karpenter.sh/capacity-type", "spot"),
    ("kubernetes.azure.com/scalesetpriority", "spot"),
    ("node.kubernetes.io/lifecycle", "spot"),
    ("node-lifecycle", "spot"),
    ("lifecycle", "Ec2Spot"),
    ("spotinst.io/node-lifecycle", "spot"),
    ("oci.oraclecloud.com/oke-is-preemptible", "true"),
    (SPOT, "true"),
)
"""Labels of machines that can be taken back, on any platform and by the tools that make node groups."""
ACCELERATOR_LABELS = (
    "nvidia.com/gpu.present",
    "nvidia.com/gpu.product",
    "amd.com/gpu.device-id",
    "cloud.google.com/gke-accelerator",
    "cloud.google.com/gke-tpu-accelerator",
    "k8s.amazonaws.com/accelerator",
    "karpenter.k8s.aws/instance-gpu-name",
    "karpenter.k8s.aws/instance-accelerator-name",
    "eks.amazonaws.com/instance-gpu-name",
    "kubernetes.azure.com/accelerator",
)
"""Labels of machines with an accelerator, also where it offers nothing (yet)."""
ARCH_TAINT = "kubernetes.io/arch"
"""GKE keeps pods that do not ask for it off its Arm machines."""
GPU_PRODUCT = "nvidia.com/gpu.product"
"""The GPU's model, where NVIDIA's feature discovery runs."""


@dataclass(frozen=True, order=True)
class Taint:
    """Mark that keeps pods off a node unless they tolerate it."""

    key: str
    value: str = ""
    effect: Effect = "NoSchedule"


@dataclass(frozen=True, order=True)
class Toleration:
    """Taint that a pod tolerates; without a value any value of the key (`operator: Exists`)."""

    key: str
    value: str | None = None
    effect: Effect | None = None

    def accepts(self, taint: Taint) -> bool:
        """Return True if a pod with this toleration may run in spite of `taint`."""
        return self.key == taint.key and self.value in (None, taint.value) and self.effect in (None, taint.effect)


OUR_SPOT = Taint(SPOT, "true")
GPU_TAINT = Taint(GPU, "present")


@dataclass(frozen=True)
class Platform:
    """Marks that one kind of node pool has on its nodes."""

    provider: str
    """The provider whose machines the nodes are, as cluster files and the machine table call it."""
    pool: str
    """The label with the pool's name on pools that surreal did not make."""
    spot: tuple[str, str]
    """The label of a spot node."""
    spot_taint: Taint
    on_demand: tuple[str, str] | None = None
    """The label of a node that is no spot node, where there is one."""
    mark: str | None = None
    """A label that only nodes of this platform have."""
    gpu_type: tuple[str, ...] = (GPU_PRODUCT,)
    """Labels that name the GPU's model, the best first."""
    own_labels: frozenset[str] = frozenset()
    """Keys of labels above that the platform puts on by itself."""
    own_taints: frozenset[str] = frozenset()
    """Keys of taints that the platform puts on by itself; the others are ours to write."""
    cloud: bool = True
    """Its machines come from a cloud, which may add another one like them."""
    made_to_measure: bool = False
    """Machines are made for pending pods: the pool exists only by what its pods select and tolerate, so it has its
    label as a taint too, which keeps all others away."""


_GKE_SPOT, _EKS_CAPACITY, _KARPENTER_CAPACITY, _AKS_PRIORITY = (
    "cloud.google.com/gke-spot",
    "eks.amazonaws.com/capacityType",
    "karpenter.sh/capacity-type",
    "kubernetes.azure.com/scalesetpriority",
)

PLATFORMS: dict[str, Platform] = {
    "gke": Platform(
        provider="gke",
        pool="cloud.google.com/gke-nodepool",
        spot=(_GKE_SPOT, "true"),
        # on a Standard cluster the label comes by itself and the taint does not
        spot_taint=Taint(_GKE_SPOT, "true"),
        mark="cloud.google.com/gke-nodepool",
        gpu_type=("cloud.google.com/gke-accelerator", GPU_PRODUCT),
        own_labels=frozenset({_GKE_SPOT}),
        own_taints=frozenset({GPU}),
    ),
    "gke-autoprovision": Platform(
        provider="gke",
        pool="cloud.google.com/gke-nodepool",
        spot=(_GKE_SPOT, "true"),
        spot_taint=Taint(_GKE_SPOT, "true"),
        gpu_type=("cloud.google.com/gke-accelerator", GPU_PRODUCT),
        own_labels=frozenset({_GKE_SPOT, POOL}),
        own_taints=frozenset({_GKE_SPOT, GPU, POOL}),
        made_to_measure=True,
    ),
    # before EKS and AKS, on which it runs too
    "karpenter": Platform(
        provider="eks",
        pool="karpenter.sh/nodepool",
        spot=(_KARPENTER_CAPACITY, "spot"),
        spot_taint=OUR_SPOT,
        on_demand=(_KARPENTER_CAPACITY, "on-demand"),
        mark="karpenter.sh/nodepool",
        # the second is what EKS Auto Mode, a Karpenter of Amazon's own, calls it
        gpu_type=("karpenter.k8s.aws/instance-gpu-name", "eks.amazonaws.com/instance-gpu-name", GPU_PRODUCT),
        own_labels=frozenset({_KARPENTER_CAPACITY}),
    ),
    "eks": Platform(
        provider="eks",
        pool="eks.amazonaws.com/nodegroup",
        spot=(_EKS_CAPACITY, "SPOT"),
        spot_taint=OUR_SPOT,
        on_demand=(_EKS_CAPACITY, "ON_DEMAND"),
        mark="eks.amazonaws.com/nodegroup",
        gpu_type=(GPU_PRODUCT, "k8s.amazonaws.com/accelerator"),
        own_labels=frozenset({_EKS_CAPACITY}),
    ),
    "aks": Platform(
        provider="aks",
        pool="kubernetes.azure.com/agentpool",
        spot=(_AKS_PRIORITY, "spot"),
        spot_taint=Taint(_AKS_PRIORITY, "spot"),
        mark="kubernetes.azure.com/agentpool",
        own_labels=frozenset({_AKS_PRIORITY}),
        own_taints=frozenset({_AKS_PRIORITY}),
    ),
    "minikube": Platform(
        provider="minikube",
        pool=POOL,
        spot=(SPOT, "true"),
        spot_taint=OUR_SPOT,
        mark="minikube.k8s.io/name",
        cloud=False,
    ),
    "existing": Platform(provider="existing", pool=POOL, spot=(SPOT, "true"), spot_taint=OUR_SPOT, cloud=False),
}
"""Platform -> its marks, in the order in which a node's platform is looked for."""


AUTOPROVISIONED = {"gke": "gke-autoprovision", "eks": "karpenter"}
"""Provider -> the platform of machines that it makes for pods that wait."""


def platform_of(provider: str, autoprovision: bool) -> str:
    """Return the row of PLATFORMS that a pool's nodes follow. KeyError if the provider makes no such machines."""
    return AUTOPROVISIONED[provider] if autoprovision else provider


def node_labels(platform: str, pool: str, spot: bool = False, extra: Labels | None = None) -> dict[str, str]:
    """Return the labels of ours and of the platform that a node of this pool shows; `extra` are the user's own."""
    marks = PLATFORMS[platform]
    capacity = marks.spot if spot else marks.on_demand
    return {**(extra or {}), POOL: pool, **({capacity[0]: capacity[1]} if capacity else {})}


def written_labels(platform: str, pool: str, spot: bool = False, extra: Labels | None = None) -> dict[str, str]:
    """Return those of `node_labels` that surreal must put on a new pool, since the platform does not."""
    own = PLATFORMS[platform].own_labels
    return {key: value for key, value in node_labels(platform, pool, spot, extra).items() if key not in own}


def node_taints(
    platform: str, pool: str, spot: bool = False, gpu: bool = False, extra: tuple[Taint, ...] = ()
) -> tuple[Taint, ...]:
    """Return the taints that a node of this pool has, its platform's too; `extra` are the user's own."""
    marks = PLATFORMS[platform]
    ours = [
        *((Taint(POOL, pool),) if marks.made_to_measure else ()),
        *((marks.spot_taint,) if spot else ()),
        *((GPU_TAINT,) if gpu else ()),
    ]
    return tuple(dict.fromkeys([*ours, *extra]))


def written_taints(
    platform: str, pool: str, spot: bool = False, gpu: bool = False, extra: tuple[Taint, ...] = ()
) -> tuple[Taint, ...]:
    """Return those of `node_taints` that surreal must put on a new pool, since the platform does not."""
    own = PLATFORMS[platform].own_taints
    return tuple(taint for taint in node_taints(platform, pool, spot, gpu, extra) if taint.key not in own)


def selector(platform: str, pool: str, spot: bool = False) -> dict[str, str]:
    """Return the labels by which a pod finds this pool of ours, and on spot machines says that it means them."""
    marks = PLATFORMS[platform]
    return {POOL: pool, **({marks.spot[0]: marks.spot[1]} if spot else {})}


def machine_selector(platform: str, machine: str | None, gpu_type: str | None) -> dict[str, str]:
    """Return labels that a pod must select for its machine to be made as the pool has it; none for fixed pools.

    GKE's node auto-provisioning would take its own choice of family, and adds no GPUs that are not named.
    """
    if platform != "gke-autoprovision" or machine is None:
        return {}
    accelerator = {"cloud.google.com/gke-accelerator": gpu_type} if gpu_type else {}
    return {"cloud.google.com/machine-family": machine.split("-")[0], **accelerator}


def tolerations(taints: tuple[Taint, ...], accelerator: str = "") -> tuple[Toleration, ...]:
    """Return what a pod must tolerate on nodes with `taints`.

    A pod with an accelerator tolerates any taint whose key is its resource, on every platform.
    """
    # MIG slices and shared GPUs lie behind the taint of whole ones
    keys = [GPU] if accelerator.startswith("nvidia.com/") else []
    keys += [accelerator] if accelerator and accelerator not in keys else []
    # GKE adds this by itself, EKS and AKS do not; it harms nowhere
    always = [Toleration(key) for key in keys]
    needed = [Toleration(taint.key, taint.value, taint.effect) for taint in taints]
    return tuple(always + [each for each in needed if each.key not in keys])


def system_keys(platform: str) -> frozenset[str]:
    """Return keys of taints that say what a node is, not for whom the user keeps it."""
    row = PLATFORMS.get(platform)
    spot = {key for key, _ in SPOT_MARKS} | ({row.spot_taint.key} if row else set())
    return frozenset({POOL, SPOT, GPU, ARCH_TAINT} | spot)


def own_taints(platform: str, taints: Iterable[Taint]) -> list[Taint]:
    """Return the taints that keep pods away and that neither the platform nor surreal put there."""
    system = system_keys(platform)
    hard = [taint for taint in taints if taint.effect != "PreferNoSchedule"]
    return [taint for taint in hard if taint.key not in system and not is_accelerator(taint.key)]
