"""Nodes of a cluster as a supervisor sees them: what is free, and which are gone before Ray says so."""

import socket
from collections.abc import Mapping
from typing import Any

from surreal.orchestrator.backends.ray.placement import bundle, in_words, kinds_of
from surreal.orchestrator.plan.model import PlannedRole
from surreal.protocol.documents.quantity import format_size

TRY_SECONDS = 0.5
"""Seconds for a raylet to take a connection."""


class Nodes:
    """The nodes, looked at now and then."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._known: dict[str, dict[str, Any]] = {}
        self._lost: set[str] = set()
        self.kinds: list[str] = []
        """Accelerators of the cluster."""
        self.look()

    @property
    def lost(self) -> list[str]:
        """Nodes that are gone, and that Ray believes alive and would place actors on."""
        return sorted(node for node in self._lost if self._known.get(node, {}).get("Alive"))

    @property
    def one_machine(self) -> bool:
        """True where all nodes that live have one address."""
        return len({node["NodeManagerAddress"] for node in self._known.values() if node["Alive"]}) == 1

    def look(self) -> None:
        """Ask Ray for the nodes."""
        self._known = {node["NodeID"]: node for node in self._ray.nodes()}
        resources: set[str] = set()
        for node in self._known.values():
            resources |= set(node["Resources"])
        self.kinds = kinds_of(dict.fromkeys(resources, 1.0))

    def is_gone(self, node: str) -> bool:
        """Return True where a node is dead for Ray, or its raylet takes no connection, which Ray notices 15 s later."""
        self.look()
        found = self._known.get(node)
        if found is None or not found["Alive"] or not _answers(found):
            self._lost.add(node)
            return True
        return False

    def why_waiting(self, role: PlannedRole, together: int = 1) -> str:
        """Return what a process without a place waits for, with what is free in all nodes together.

        `together` processes of the role start at once, or none.
        """
        free: Mapping[str, float] = self._ray.available_resources()
        total: Mapping[str, float] = self._ray.cluster_resources()
        asked = bundle(role)
        if all(free.get(name, 0.0) >= amount * together for name, amount in asked.items()):
            return "is starting: its node is busy, or no node has all that it asks for"
        shares = ", ".join(_share(name, free.get(name, 0.0), total.get(name, 0.0)) for name in asked)
        where = f"on one node, for {together} that start at once" if together > 1 else "on one node"
        return f"waits for {in_words(role)} {where}; free in the cluster: {shares}"


def _share(name: str, free: float, total: float) -> str:
    if name == "memory":
        return f"{format_size(free)} of {format_size(total)} memory"
    return f"{free:g} of {total:g} {name}"


def _answers(node: Mapping[str, Any]) -> bool:
    try:
        socket.create_connection((node["NodeManagerAddress"], node["NodeManagerPort"]), TRY_SECONDS).close()
    except OSError:
        return False
    return True
