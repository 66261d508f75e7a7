"""What nodes have and pods ask for, read from the API's plain JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from surreal.protocol.documents.quantity import parse_quantity

Json = Mapping[str, Any]
GPU = "nvidia.com/gpu"
"""The resource that a GPU process asks for, and the key of the taint that keeps all others away."""


@dataclass(frozen=True)
class Amount:
    """Resources of one node or pod."""

    cpu: float = 0.0
    memory: float = 0.0
    gpus: int = 0
    pods: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.cpu + other.cpu, self.memory + other.memory, self.gpus + other.gpus, self.pods + other.pods)


def quantity(text: str | float) -> float:
    """Return a Kubernetes quantity as a number; 0 for a text that is none."""
    try:
        return parse_quantity(text)
    except ValueError:
        return 0.0


def amount(resources: Json, pods: int = 0) -> Amount:
    """The resources of a node or container; `pods` are not among a container's."""
    return Amount(
        quantity(resources.get("cpu", 0)),
        quantity(resources.get("memory", 0)),
        int(quantity(resources.get(GPU, 0))),
        pods,
    )


def asked_by(spec: Json) -> Amount:
    """What the scheduler reckons with: all containers and sidecars together, or one larger init container."""
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
    """The larger of each resource."""
    return Amount(
        max(one.cpu, other.cpu), max(one.memory, other.memory), max(one.gpus, other.gpus), max(one.pods, other.pods)
    )
