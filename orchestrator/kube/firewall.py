"""What the NetworkPolicies of a role allow: the edges of the graph, DNS, and what the experiment declares."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from surreal.orchestrator.kube.names import selector
from surreal.orchestrator.kube.network import Edge, Network
from surreal.orchestrator.plan import PlannedRole

Plain = dict[str, Any]

ANYWHERE = ("0.0.0.0/0", "::/0")
HTTPS = 443
IDENTITY = {"169.254.169.254/32": (80,), "169.254.169.252/32": (988,), "169.254.170.23/32": (80,)}
"""Where clouds tell a pod who its account is: GKE with and without Dataplane V2, EKS Pod Identity."""


@dataclass(frozen=True)
class Firewall:
    """Rules as the template of a NetworkPolicy takes them: `port`, and `peers` as labels of pods."""

    network: Network
    stores_code: bool
    """Every role fetches its code from the run's store."""

    def ingress(self, role: PlannedRole) -> list[Plain]:
        """Who may connect to a role. A rule without peers is for Prometheus, whose namespace nobody knows."""
        rules = self._rules([edge for edge in self.network.edges if edge.to == role.name], "frm")
        port = self.network.plan.prometheus_port
        return [*rules, {"port": port, "peers": []}] if port and role.ends_run else rules

    def egress(self, role: PlannedRole) -> list[Plain]:
        """Whom a role may connect to, besides the DNS."""
        return self._rules([edge for edge in self.network.edges if edge.frm == role.name], "to")

    def networks(self, role: PlannedRole) -> list[Plain]:
        """Networks that a role may connect to. An object store has no addresses that anybody could know before, so
        that without a declaration HTTPS is open for who uses one."""
        plan = self.network.plan
        stores = bool(plan.storage.url) and (role.ends_run or self.stores_code)
        identity = IDENTITY if stores and plan.storage.service_account else {}
        anywhere = dict.fromkeys(ANYWHERE, (HTTPS,)) if stores and not plan.egress else {}
        declared = [(each.cidr, each.ports) for each in plan.egress]
        return [{"cidr": cidr, "ports": ports} for cidr, ports in (*declared, *anywhere.items(), *identity.items())]

    def _rules(self, edges: Sequence[Edge], end: str) -> list[Plain]:
        name = self.network.plan.name
        by_port = groupby(sorted(edges, key=attrgetter("port")), key=attrgetter("port"))
        return [
            {"port": port, "peers": [selector(name, role) for role in sorted({getattr(e, end) for e in found})]}
            for port, found in by_port
        ]
