"""Addresses of a run on Ray: they follow from where the processes that listen have landed.

Processes that all share one machine talk through sockets of its file system, as without Ray. These cost neither TCP
nor keys.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from surreal.orchestrator.plan.model import Plan, PlannedChannel, PlannedRole
from surreal.orchestrator.run.wiring import CONTROL, ending_role, wire
from surreal.protocol.graph import RELAY
from surreal.protocol.wiring import Wiring


@dataclass(frozen=True)
class Place:
    """The place where the host of a process has landed."""

    ip: str
    node: str
    """Ray's id of the node."""
    ports: Mapping[str, int] = field(default_factory=dict)
    """Channel, or CONTROL -> port."""
    shared: bool = False
    """True where the supervisor's files are seen too."""
    machine: str = ""
    """Equal for processes of one user that see the same files; empty where that is not known."""
    sockets: str = ""
    """Folder of the host, which no other user can enter."""

    def address(self, port: str, *, local: bool) -> str:
        """Return the address of one of its ports; `local` for those who see the folder."""
        if local:
            return f"ipc://{self.sockets}/{port}"
        ip = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"tcp://{ip}:{self.ports[port]}"


def listening(plan: Plan, role: str) -> tuple[str, ...]:
    """Return the ports at which a role's processes listen: channels, and CONTROL."""
    ports = [each.name for each in plan.channels if role in (each.binds, each.name + RELAY)]
    return tuple(ports + ([CONTROL] if role == ending_role(plan).name else []))


class Network:
    """Places by (role, index). Addresses can be asked for once `complete`."""

    def __init__(self, plan: Plan, local: bool = False) -> None:
        """Take a plan; `local` where all places of the cluster are expected to be on one machine."""
        self.plan = plan
        self.places: dict[tuple[str, int], Place] = {}
        self.local = local
        """True until a process lands where it does not see the files of the others."""
        self._listeners = [
            (role.name, index) for role in plan.roles if listening(plan, role.name) for index in range(role.replicas)
        ]

    def land(self, role: str, index: int, place: Place) -> None:
        """Note where a process has landed."""
        self.places[role, index] = place
        self.local = self.local and bool(place.machine) and len({each.machine for each in self.places.values()}) == 1

    @property
    def complete(self) -> bool:
        """True once every process that listens has landed."""
        return all(each in self.places for each in self._listeners)

    def control(self) -> str:
        """Return the address of the control port."""
        return self.places[ending_role(self.plan).name, 0].address(CONTROL, local=self.local)

    def channel(self, channel: PlannedChannel, index: int) -> str:
        """Return the address at which replica `index` of the role that binds a channel listens."""
        return self.places[channel.binds, index].address(channel.name, local=self.local)

    def relay(self, channel: PlannedChannel, index: int) -> str:
        """Return the address of relay `index` of a broadcast."""
        return self.places[channel.name + RELAY, index].address(channel.name, local=self.local)

    def wiring(self, role: PlannedRole, index: int, incarnation: int, folder: str) -> Wiring:
        """Return what a process is told; paths that differ from node to node are its host's to fill in."""
        plan, serves = self.plan, role.ends_run and index == 0
        store = f"{plan.storage.url.rstrip('/')}/{plan.name}" if plan.storage.url else ""
        return replace(
            wire(plan, role, plan.channels, self, folder),
            index=index,
            incarnation=incarnation,
            serves_control=serves,
            prometheus=f"{self.places[role.name, index].ip}:{plan.prometheus_port}"
            if serves and plan.prometheus_port
            else "",
            store=store if role.ends_run else "",
        )

    def heard_by(self, role: PlannedRole) -> dict[str, Any]:
        """Return the addresses that matter to a role: where they change, its processes must be told."""
        wired = asdict(self.wiring(role, 0, 0, ""))
        plan = {each.name: each for each in self.plan.channels}
        own = [name for name, each in plan.items() if role.name in (*each.frm, *each.to, each.binds, name + RELAY)]
        return {"control": wired["control"], **{name: wired["channels"][name] for name in own}}
