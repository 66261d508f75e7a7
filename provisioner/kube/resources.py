"""What nodes have and pods ask for, read from the API's plain JSON."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from surreal.provisioner.pools.labels import GPU

Json = Mapping[str, Any]

_UNITS = {"": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18} | {
    f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", start=1)
}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)([a-zA-Z]*)")


@dataclass(frozen=True)
class Amount:
    """Resources of one node or pod."""

    cpu: float = 0.0
    memory: float = 0.0
    gpus: int = 0
    pods: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.cpu + other.cpu, self.memory + other.memory, self.gpus + other.gpus, self.pods + other.pods)


@lru_cache(maxsize=4096)  # thousands of nodes and pods say the same few
def quantity(text: str | float) -> float:
    """A Kubernetes quantity as a number: `3920m` is 3.92, `16Gi` 2**34. 0 for what is none."""
    match = _QUANTITY.fullmatch(str(text))
    return float(match[1]) * _UNITS.get(match[2], 0.0) if match else 0.0


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
