"""The hosts of a run: made with the resources of their roles, told what to start, and ended together."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from surreal.orchestrator.backends.ray import placement
from surreal.orchestrator.backends.ray.actors.host import Host
from surreal.orchestrator.backends.ray.actors.network import Network
from surreal.orchestrator.backends.ray.actors.nodes import Nodes
from surreal.orchestrator.backends.ray.actors.process import RemoteProcess
from surreal.orchestrator.plan.model import Plan, PlannedRole
from surreal.orchestrator.run.wiring import thread_variables

CLOSE_SECONDS = 3.0
ANSWER_SECONDS = 30.0
"""Seconds for one answer of a host about its files."""


@dataclass
class Materials:
    """Things that hosts need beside the plan."""

    keys: dict[str, str]
    """Role -> content of its key file."""
    code: Any = None
    """Ray's reference to the digest and the archive of one's own code; None without."""
    token: str = ""
    """Content of run.json, by which a host knows whether it sees the supervisor's folder."""


class Hosts:
    """Maker of the hosts of one run."""

    def __init__(self, ray: Any, supervisor: Any, plan: Plan, materials: Materials, nodes: Nodes) -> None:
        """Take the handle of the supervisor, which gets the output of all processes."""
        self.ray, self.materials = ray, materials
        self._supervisor, self._plan, self._nodes = supervisor, plan, nodes
        self._groups: dict[str, Any] = {}
        """Role -> its placement group."""

    def make(self, process: RemoteProcess) -> Any:
        """Have Ray place a host for a process; return its handle at once."""
        role = process.role
        options = placement.host_options(role, self._nodes.kinds, self._nodes.lost)
        if placement.starts_together(self._plan, role):
            options = {**placement.resources(role, self._nodes.kinds), **self._in_group(role, process.record.index)}
        return self.ray.remote(Host).options(**options).remote(self._supervisor)

    def order(self, process: RemoteProcess, network: Network, folder: str) -> dict[str, Any]:
        """Return what the host of a process must know to start its worker."""
        role, record = process.role, process.record
        return {
            "wiring": asdict(network.wiring(role, record.index, record.incarnation, folder)),
            "keys": "" if network.local else self.materials.keys[role.name],
            "environment": {**thread_variables(role), **role.env},
            "hang_seconds": self._plan.hang_seconds,
        }

    def ask(self, host: Any, method: str, *arguments: Any) -> Any:
        """Return what a host answers."""
        return self.ray.get(getattr(host, method).remote(*arguments), timeout=ANSWER_SECONDS)

    def close(self, hosts: Sequence[Any]) -> None:
        """End hosts and the groups of all roles."""
        closing = [host.close.remote() for host in hosts]
        if closing:
            self.ray.wait(closing, num_returns=len(closing), timeout=CLOSE_SECONDS)
        for host in hosts:
            self.ray.kill(host)
        for group in self._groups.values():
            self.ray.util.remove_placement_group(group)

    def _in_group(self, role: PlannedRole, index: int) -> dict[str, Any]:
        """Return options that place a process with all others of its role, or none of them."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        if role.name not in self._groups:
            bundles = [placement.bundle(role, self._nodes.kinds)] * role.replicas
            selectors = [placement.labels(role)] * role.replicas
            self._groups[role.name] = self.ray.util.placement_group(
                bundles, strategy=placement.strategy(role), bundle_label_selector=selectors
            )
        strategy = PlacementGroupSchedulingStrategy(self._groups[role.name], index)
        return {"scheduling_strategy": strategy, "max_restarts": 0, "max_concurrency": placement.HOST_THREADS}
