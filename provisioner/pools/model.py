"""A pool of equal machines: the one thing the orchestrator knows about hardware."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from surreal.provisioner.kube.resources import GPU
from surreal.provisioner.pools.labels import Taint
from surreal.provisioner.pools.reserved import MAX_PODS

OWN = "local"
"""Owner of the machine that surreal itself runs on."""


@dataclass(frozen=True)
class Room:
    """`nodes` nodes of a pool with the same left on each."""

    nodes: int
    cpu: float
    memory: int
    gpus: int
    pods: int
    accelerators: Mapping[str, int] = field(default_factory=dict)
    """Accelerators of other names than `nvidia.com/gpu`."""

    def count(self, resource: str) -> int:
        """Return how many accelerators of that name are left on each node."""
        return self.gpus if resource == GPU else self.accelerators.get(resource, 0)


@dataclass(frozen=True)
class NodePool:
    """`nodes` machines that each offer `cpu` cores, `memory` bytes and `gpus` GPUs to the processes of experiments.

    What the system keeps is taken off: reservations of the platform, and pods that run on every node.
    """

    name: str
    nodes: int
    cpu: float
    memory: int
    gpus: int = 0
    gpu_type: str | None = None
    """The GPU's name as its driver or its node's label says it; None without one."""
    accelerators: Mapping[str, int] = field(default_factory=dict)
    """Accelerators of other names: `amd.com/gpu`, `nvidia.com/mig-1g.5gb`, `google.com/tpu`."""
    accelerated: bool = False
    """Has accelerators that may offer nothing now: never for processes that ask for none, if any other holds them."""
    os: str | None = None
    """The operating system; None is unknown, and is Linux then."""
    arch: str | None = None
    """The processor's architecture, `amd64` or `arm64`; None is unknown."""
    control_plane: bool = False
    """Machines that run the cluster itself: for roles that name the pool."""
    provider: str = OWN
    """Owner of the machines: a row of `labels.PLATFORMS`, or OWN."""
    machine: str | None = None
    """The machine type."""
    min_nodes: int | None = None
    max_nodes: int | None = None
    """Bounds of the autoscaler; None if unknown."""
    fixed: bool = False
    """Machines of no cloud: no autoscaler adds any."""
    pods: int = MAX_PODS
    """Pods that a node takes."""
    spot: bool = False
    """Machines that the provider can take back at any time."""
    zones: tuple[str, ...] = ()
    region: str | None = None
    price: float | None = None
    """US dollars an hour of one machine, by `priced`; None is unknown."""
    price_bound: float | None = None
    """US dollars an hour that a machine costs at most: the price on demand, where that of spot is unknown."""
    priced: str = ""
    """The price's source and day."""
    selector: Mapping[str, str] = field(default_factory=dict)
    """The labels by which a pod finds this pool and no other."""
    hosts: tuple[str, ...] = ()
    """The nodes' own names, where no label tells them from other kinds of machines."""
    taints: tuple[Taint, ...] = ()
    closed: Mapping[str, int] = field(default_factory=dict)
    """Reason why nodes take no pods now (`cordoned`, `not ready`) -> their number; they count and have no room."""
    rooms: tuple[Room, ...] = ()
    """Resources left on the nodes that are there; empty if unknown, as if all were free."""

    def count(self, resource: str) -> int:
        """Return how many accelerators of that name one machine has."""
        return self.gpus if resource == GPU else self.accelerators.get(resource, 0)

    @property
    def is_own_machine(self) -> bool:
        """Return True for the machine that this program runs on, which may be oversubscribed."""
        return self.provider == OWN

    @property
    def has_accelerators(self) -> bool:
        """Return True for machines that are for roles with accelerators, whatever these are called."""
        return bool(self.gpus or self.accelerators or self.accelerated)

    @property
    def free(self) -> tuple[Room, ...]:
        """Resources left on the nodes that are there."""
        return self.rooms or (self._whole if self.nodes else ())

    @property
    def _whole(self) -> tuple[Room, ...]:
        return (Room(self.nodes, self.cpu, self.memory, self.gpus, self.pods, self.accelerators),)

    def to_data(self) -> dict[str, Any]:
        """Return plain data: one node, and of all nodes the total, the used and the free part; null is unknown."""
        node = {"cpu": self.cpu, "memory": self.memory, "gpus": self.gpus}
        total = {key: round(self.nodes * amount, 3) for key, amount in node.items()}
        known = bool(self.rooms) or not self.nodes
        left = {key: sum(room.nodes * getattr(room, key) for room in self.rooms) for key in node}
        # equal machines differ a little, and one with fewer system pods has more left than the least of them
        free = {key: min(total[key], round(amount, 3)) for key, amount in left.items()}
        return {
            "name": self.name,
            "provider": self.provider,
            "machine": self.machine,
            "spot": self.spot,
            "nodes": {"now": self.nodes, "min": self.min_nodes, "max": self.max_nodes},
            "node": {**node, "gpuType": self.gpu_type, "accelerators": dict(self.accelerators), "pods": self.pods},
            "os": self.os,
            "arch": self.arch,
            "controlPlane": self.control_plane,
            "closed": dict(self.closed),
            "allocatable": total,
            "used": {key: max(0, round(total[key] - free[key], 3)) for key in node} if known else None,
            "free": free if known else None,
            "region": self.region,
            "zones": list(self.zones),
            "pricePerHour": self.price,
            "priceBound": self.price_bound,
            "priced": self.priced,
            "selector": dict(self.selector),
            "hosts": list(self.hosts),
            "taints": [asdict(taint) for taint in self.taints],
        }

    @property
    def group(self) -> str:
        """The platform's own name of the pool, of which this may be one kind of machine: `default/m7i.large`."""
        return self.name.partition("/")[0]
