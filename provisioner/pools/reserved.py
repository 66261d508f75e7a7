"""Resources of a machine that are left for pods: each platform keeps a share for kernel, kubelet and system pods.

Sources: GKE's and EKS's cores, and GKE's memory, by the same published tiers (Google Cloud, "Plan GKE Standard node
sizes"; EKS's node bootstrap); the kernel's share on Compute Engine by the formula of the Kubernetes cluster autoscaler
(cloudprovider/gce/gce_reserved.go); EKS's memory by 255 MiB and 11 MiB for each pod, and 7.5 % of every EC2 machine for
its hypervisor, which is Karpenter's default (vmMemoryOverheadPercent) and on the safe side.
"""

from collections.abc import Callable

MIB = 1 << 20
GIB = 1 << 30
EVICTION = 100 * MIB
"""The kubelet evicts pods when less memory than this is left."""
MAX_PODS = 110
"""Pods of a node, unless a file says otherwise."""

_CPU_TIERS = ((1, 0.06), (1, 0.01), (2, 0.005), (float("inf"), 0.0025))
_GKE_MEMORY_TIERS = ((4, 0.25), (4, 0.20), (8, 0.10), (112, 0.06), (float("inf"), 0.02))
_SYSTEM_PODS = {
    "gke": (0.5, 600 * MIB),
    "gke-autoprovision": (0.5, 600 * MIB),
    "eks": (0.25, 300 * MIB),
    "karpenter": (0.25, 300 * MIB),
    "minikube": (0.85, 300 * MIB),
    "existing": (0.25, 300 * MIB),
}
"""Cores and memory of the pods that run on every node (network, logs, metrics, DNS): an allowance, where no node of the
pool is there to be asked."""


def allocatable(platform: str, cpu: float, memory: int, pods: int | None) -> tuple[float, int]:
    """Return cores and bytes that a node of `cpu` cores and `memory` bytes says it has for pods."""
    rule = _RULES.get(platform)
    return rule(cpu, memory, pods or MAX_PODS) if rule else (cpu, memory)


def usable(platform: str, cpu: float, memory: int, pods: int | None) -> tuple[float, int]:
    """Return cores and bytes that a fresh node leaves to processes of experiments; not below 0."""
    cores, size = allocatable(platform, cpu, memory, pods)
    system_cpu, system_memory = _SYSTEM_PODS[platform]
    return max(0.0, round(cores - system_cpu, 3)), max(0, size - system_memory)


def _gke(cpu: float, memory: int, _pods: int) -> tuple[float, int]:
    reserved = 255 * MIB if memory < GIB else _tiers(memory / GIB, _GKE_MEMORY_TIERS) * GIB
    return cpu - _tiers(cpu, _CPU_TIERS), int(memory - _gce_kernel(memory) - reserved - EVICTION)


def _eks(cpu: float, memory: int, pods: int) -> tuple[float, int]:
    return cpu - _tiers(cpu, _CPU_TIERS), int(memory * 0.925 - (255 + 11 * pods) * MIB - EVICTION)


def _gce_kernel(memory: int) -> float:
    """Return the bytes that the kernel takes of a Compute Engine machine before the kubelet sees it."""
    swiotlb = 64 * MIB if memory > 3 * GIB else 0
    small = 8 * MIB if memory <= 8 * GIB else 0
    return memory / 64 + 16 * MIB + swiotlb + small + min(0.00175 * memory, 248 * MIB)


def _tiers(amount: float, tiers: tuple[tuple[float, float], ...]) -> float:
    """Return the sum over (width, share): a share of each further part of `amount`."""
    total = 0.0
    for width, share in tiers:
        total += min(amount, width) * share
        amount = max(0.0, amount - width)
    return total


_RULES: dict[str, Callable[[float, int, int], tuple[float, int]]] = {
    "gke": _gke,
    "gke-autoprovision": _gke,
    "eks": _eks,
    "karpenter": _eks,
}
