"""Connections between the roles in a cluster: wirings, NetworkPolicies and Services all come from here."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Any

from surreal.orchestrator.backends.kube.names import (
    CODE_FOLDER,
    CONTROL_PORT,
    KEYS_FOLDER,
    METRICS_PORT,
    RUN_FOLDER,
    START_FOLDER,
    START_KEY,
    TERMINATION,
    host,
    selector,
)
from surreal.orchestrator.plan.model import Plan, PlannedChannel, PlannedRole
from surreal.orchestrator.run.wiring import ending_role, wire
from surreal.protocol.errors import InvalidInput
from surreal.protocol.graph import LOGS, RELAY
from surreal.protocol.wiring import Wiring

LOGS_WINDOW = 256
"""Batches of lines on their way from one process; more are dropped and counted."""
CONTROL = "control"
FIRST_FREE_PORT = 1024
"""A process that is not root may listen here and above."""


@dataclass(frozen=True, order=True)
class Edge:
    """Processes of role `frm` connect to `port` (TCP) of those of role `to`."""

    frm: str
    to: str
    port: int


@dataclass(frozen=True)
class Network:
    """The ports of a run as pods have them. Raises InvalidInput, when it is asked, for ports that cannot be."""

    plan: Plan

    @cached_property
    def channels(self) -> tuple[PlannedChannel, ...]:
        """The plan's channels, and the stream that carries the log lines of all processes to the run folder."""
        if any(channel.name == LOGS for channel in self.plan.channels):
            raise InvalidInput(
                f"algorithm {self.plan.algorithm}: has a channel {LOGS!r}, which is how logs travel in a cluster. "
                "Rename it."
            )
        end = ending_role(self.plan).name
        logs = PlannedChannel(LOGS, "stream", self._led, (end,), window=LOGS_WINDOW, lossy=True)
        return (*self.plan.channels, logs)

    @property
    def _led(self) -> tuple[str, ...]:
        """The roles with processes that do not serve control: that of several which end the run, too."""
        return tuple(role.name for role in self.plan.roles if not role.ends_run or role.replicas > 1)

    @cached_property
    def ports(self) -> dict[str, int]:
        """Channel -> its port."""
        numbers = {each.name: CONTROL_PORT + 1 + index for index, each in enumerate(self.channels)}
        self._check_prometheus(numbers)
        return numbers

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """All that is allowed between the processes of the run."""
        return tuple(sorted({*self._control_edges(), *self._channel_edges()}))

    def named_ports(self) -> dict[str, int]:
        """Return all ports of all roles, under names made of the channel's name and the protocol."""
        numbers = sorted({CONTROL_PORT, *self.ports.values()})
        prometheus = self.plan.prometheus_port
        return {f"tcp-{port}": port for port in numbers} | ({METRICS_PORT: prometheus} if prometheus else {})

    def control(self) -> str:
        """Return the address of the control port."""
        return self._address(ending_role(self.plan).name, 0, CONTROL_PORT)

    def channel(self, channel: PlannedChannel, index: int) -> str:
        """Return the address at which replica `index` of the role that binds a channel listens."""
        return self._address(channel.binds, index, self.ports[channel.name])

    def relay(self, channel: PlannedChannel, index: int) -> str:
        """Return the address of relay `index` of a broadcast."""
        return self._address(channel.name + RELAY, index, self.ports[channel.name])

    def _address(self, role: str, index: int, port: int) -> str:
        name = self.plan.name
        return f"tcp://{host(name, role, index, queued=bool(self.plan.queue))}.{name}:{port}"

    def _control_edges(self) -> Iterator[Edge]:
        for role in self._led:
            yield Edge(role, ending_role(self.plan).name, CONTROL_PORT)

    def _channel_edges(self) -> Iterator[Edge]:
        for channel in self.channels:
            port = self.ports[channel.name]
            listens = channel.name + RELAY if channel.relays else channel.binds
            if channel.relays:
                yield Edge(listens, channel.binds, port)
            for dials in channel.to if channel.kind == "broadcast" else channel.frm:
                yield Edge(dials, listens, port)

    def _check_prometheus(self, numbers: dict[str, int]) -> None:
        port = self.plan.prometheus_port
        if port is None:
            return
        taken = {number: name for name, number in {CONTROL: CONTROL_PORT, **numbers}.items()}.get(port)
        if taken:
            raise InvalidInput(
                f"spec.prometheus.port: {port} is the port of {taken!r} in a cluster. Take 9400, which is free."
            )
        if port < FIRST_FREE_PORT:
            raise InvalidInput(
                f"spec.prometheus.port: {port} is too low for a cluster. Take {FIRST_FREE_PORT} or more."
            )


Plain = dict[str, Any]

ANYWHERE = ("0.0.0.0/0", "::/0")
HTTPS = 443
IDENTITY = {"169.254.169.254/32": (80,), "169.254.169.252/32": (988,), "169.254.170.23/32": (80,)}
"""Addresses where clouds tell a pod its account: GKE with and without Dataplane V2, EKS Pod Identity."""


@dataclass(frozen=True)
class Firewall:
    """Rules as the template of a NetworkPolicy takes them: `port`, and `peers` as labels of pods."""

    network: Network
    stores_code: bool
    """Every role fetches its code from the run's store."""

    def ingress(self, role: PlannedRole) -> list[Plain]:
        """Return the rules of who may connect to a role. The rule without peers is for Prometheus in any namespace."""
        rules = self._rules([edge for edge in self.network.edges if edge.to == role.name], "frm")
        port = self.network.plan.prometheus_port
        return [*rules, {"port": port, "peers": []}] if port and role.ends_run else rules

    def egress(self, role: PlannedRole) -> list[Plain]:
        """Return the rules of the roles that a role may connect to. DNS is allowed besides."""
        return self._rules([edge for edge in self.network.edges if edge.frm == role.name], "to")

    def networks(self, role: PlannedRole) -> list[Plain]:
        """Return the networks that a role may connect to.

        The addresses of an object store cannot be known before. So without a declaration HTTPS is open for the roles
        that use one.
        """
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


def wiring_files(network: Network, has_code: bool, start: str = "") -> dict[str, str]:
    """Role -> the content of the wiring file that all its pods read. `start` is the sha256 of a packed checkpoint."""
    wired = {role.name: _wiring(network, role, has_code, start) for role in network.plan.roles}
    return {role: json.dumps(asdict(each), indent=1) for role, each in wired.items()}


def _wiring(network: Network, role: PlannedRole, has_code: bool, start: str) -> Wiring:
    plan = network.plan
    return replace(
        wire(plan, role, network.channels, network, RUN_FOLDER),
        keys=f"{KEYS_FOLDER}/{role.name}.json",
        code=CODE_FOLDER if has_code else "",
        prometheus=f"0.0.0.0:{plan.prometheus_port}" if plan.prometheus_port else "",
        logs=True,
        store=store_url(plan) if role.ends_run else "",
        start_archive=f"{START_FOLDER}/{START_KEY}" if start and role.ends_run else "",
        start_digest=start if role.ends_run else "",
        termination=TERMINATION,
        hang_seconds=plan.hang_seconds,
    )


def store_url(plan: Plan) -> str:
    """Return the folder of the run in its object store; empty without one."""
    return f"{plan.storage.url.rstrip('/')}/{plan.name}" if plan.storage.url else ""
