"""Resources that nodes have and pods ask for, read from the API's plain JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from surreal.protocol.documents.quantity import parse_quantity

Json = Mapping[str, Any]
GPU = "nvidia.com/gpu"
"""The resource that a GPU process asks for, and the key of the taint that keeps all others away."""
_ACCELERATORS = (
    "nvidia.com/",
    "amd.com/gpu",
    "gpu.intel.com/",
    "habana.ai/",
    "google.com/tpu",
    "cloud-tpus.google.com/",
    "aws.amazon.com/neuron",
    "qualcomm.com/",
    "huawei.com/",
)
"""Beginnings of resource names that device plugins give to accelerators: whole ones, MIG slices, shared ones."""


def is_accelerator(resource: str) -> bool:
    """Return True for a resource such as `amd.com/gpu` or `nvidia.com/mig-1g.5gb`, and for `nvidia.com/gpu`."""
    return resource.startswith(_ACCELERATORS)


@dataclass(frozen=True)
class Amount:
    """Resources of one node or pod."""

    cpu: float = 0.0
    memory: float = 0.0
    gpus: int = 0
    pods: int = 0
    accelerators: Mapping[str, int] = field(default_factory=dict)
    """Accelerators of other names than `nvidia.com/gpu`."""

    def __add__(self, other: "Amount") -> "Amount":
        both = _merged(self.accelerators, other.accelerators, int.__add__)
        return Amount(
            self.cpu + other.cpu, self.memory + other.memory, self.gpus + other.gpus, self.pods + other.pods, both
        )


def _merged(one: Mapping[str, int], other: Mapping[str, int], how: Callable[[int, int], int]) -> Mapping[str, int]:
    if not other:
        return one
    return {name: how(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}


def quantity(text: str | float) -> float:
    """Return a Kubernetes quantity as a number; 0 for a text that is none."""
    try:
        return parse_quantity(text)
    except ValueError:
        return 0.0


def amount(resources: Json, pods: int = 0) -> Amount:
    """Return the resources of a node or container; `pods` are not among a container's."""
    others = {name: int(quantity(resources[name])) for name in resources if name != GPU and is_accelerator(name)}
    return Amount(
        quantity(resources.get("cpu", 0)),
        quantity(resources.get("memory", 0)),
        int(quantity(resources.get(GPU, 0))),
        pods,
        others,
    )


def asked_by(spec: Json) -> Amount:
    """Return what the scheduler counts: all containers and sidecars together, or one larger init container."""
    total, largest = Amount(pods=1), Amount()
    for container in spec.get("containers") or ():
        total += amount(container.get("resources", {}).get("requests") or {})
    for container in spec.get("initContainers") or ():
        asked = amount(container.get("resources", {}).get("requests") or {})
        if container.get("restartPolicy") == "Always":
            total += asked
        else:
            largest = most(largest, asked)
    overhead = spec.get("overhead")
    total = most(total, largest)
    return total + amount(overhead) if overhead else total


def most(one: Amount, other: Amount) -> Amount:
    """Return the larger of each resource."""
    return Amount(
        max(one.cpu, other.cpu),
        max(one.memory, other.memory),
        max(one.gpus, other.gpus),
        max(one.pods, other.pods),
        _merged(one.accelerators, other.accelerators, max),
    )
