"""Resources that the processes of a run use and asked for: the document of `surreal top NAME -o json`.

Fields are only ever added. A number that is not known is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from surreal.orchestrator.run.status import Status

if TYPE_CHECKING:
    # Processes that only measure start by the hundred, and the plan's models take half of their start.
    from surreal.orchestrator.plan.model import Plan, PlannedRole


@dataclass(frozen=True)
class Used:
    """Resources that one process uses."""

    cpu: float | None = None
    """Cores, over the last seconds."""
    memory: int | None = None
    """Bytes that are resident."""


@dataclass(frozen=True)
class ProcessUsage:
    """One process that runs."""

    index: int
    node: str
    used: Used


@dataclass(frozen=True)
class RoleUsage:
    """One role: its processes that run, and what each of them asked for."""

    name: str
    replicas: int
    cpu_asked: float
    """Cores."""
    memory_asked: int
    """Bytes; in a cluster no process gets more."""
    processes: tuple[ProcessUsage, ...]

    @property
    def cpu(self) -> float | None:
        """Cores of all its processes together; None if no process's are known."""
        known = [each.used.cpu for each in self.processes if each.used.cpu is not None]
        return sum(known) if known else None

    @property
    def memory(self) -> int | None:
        """Bytes of all its processes together; None if no process's are known."""
        known = [each.used.memory for each in self.processes if each.used.memory is not None]
        return sum(known) if known else None

    @property
    def busiest(self) -> ProcessUsage | None:
        """The process with the most CPU, where that is known."""
        known = [each for each in self.processes if each.used.cpu is not None]
        return max(known, key=lambda each: each.used.cpu or 0.0, default=None)

    @property
    def largest(self) -> ProcessUsage | None:
        """The process with the most memory, where that is known."""
        known = [each for each in self.processes if each.used.memory is not None]
        return max(known, key=lambda each: each.used.memory or 0, default=None)

    def document(self) -> dict[str, Any]:
        """Plain data: the whole, then every process."""
        return {
            "name": self.name,
            "replicas": self.replicas,
            "running": len(self.processes),
            "cpu": self.cpu,
            "cpu_asked": self.cpu_asked,
            "memory": self.memory,
            "memory_asked": self.memory_asked,
            "processes": [
                {"index": each.index, "node": each.node, "cpu": each.used.cpu, "memory": each.used.memory}
                for each in self.processes
            ],
        }


@dataclass(frozen=True)
class Usage:
    """All roles of a run at one moment."""

    status: Status
    roles: tuple[RoleUsage, ...]
    note: str = ""
    """The reason why a number is not known; empty while there is nothing to say."""

    def document(self) -> dict[str, Any]:
        """Return the stable document."""
        return {
            "name": self.status.name,
            "state": self.status.state,
            "note": self.note,
            "roles": [role.document() for role in self.roles],
            "channels": [channel.document() for channel in self.status.channels],
        }


def usage_of(status: Status, plan: Plan | None, used: Mapping[tuple[str, int], Used], note: str = "") -> Usage:
    """Combine `used`, by role and index, with what the plan asked for. Only processes that run count."""
    roles: Iterable[PlannedRole] = plan.roles if plan else ()
    return Usage(status, tuple(_role(role, status, used) for role in roles), note)


def _role(role: PlannedRole, status: Status, used: Mapping[tuple[str, int], Used]) -> RoleUsage:
    running = [process for process in status.roles.get(role.name, ()) if process.state == "running"]
    asked = role.resources
    return RoleUsage(
        role.name,
        role.replicas,
        asked.cpu,
        asked.memory,
        tuple(ProcessUsage(each.index, each.node, used.get((role.name, each.index), Used())) for each in running),
    )
