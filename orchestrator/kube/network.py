"""Who talks to whom in a cluster, and where: wirings, NetworkPolicies and Services all come from here."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from surreal.orchestrator.kube.names import CONTROL_PORT, METRICS_PORT, host
from surreal.orchestrator.plan import Plan, PlannedChannel
from surreal.orchestrator.wiring import ending
from surreal.protocol.errors import InvalidInput
from surreal.protocol.graph import LOGS, RELAY

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
        """The plan's, and the stream that carries everybody's lines to the run folder."""
        if any(channel.name == LOGS for channel in self.plan.channels):
            raise InvalidInput(
                f"the algorithm {self.plan.algorithm} has a channel {LOGS!r}, which is how logs travel in a cluster: "
                "it must call its own differently"
            )
        end = ending(self.plan).name
        others = tuple(role.name for role in self.plan.roles if not role.ends_run)
        logs = PlannedChannel.model_validate(
            {
                "name": LOGS,
                "kind": "stream",
                "from": others,
                "to": (end,),
                "binds": end,
                "window": LOGS_WINDOW,
                "lossy": True,
            }
        )
        return (*self.plan.channels, logs)

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
        """All ports of all roles, under names that every channel's makes and that say the protocol."""
        numbers = sorted({CONTROL_PORT, *self.ports.values()})
        prometheus = self.plan.prometheus_port
        return {f"tcp-{port}": port for port in numbers} | ({METRICS_PORT: prometheus} if prometheus else {})

    def control(self) -> str:
        """The address of the control port."""
        return self._address(ending(self.plan).name, 0, CONTROL_PORT)

    def channel(self, channel: PlannedChannel, index: int) -> str:
        """The address at which replica `index` of the role that binds a channel listens."""
        return self._address(channel.binds, index, self.ports[channel.name])

    def relay(self, channel: PlannedChannel, index: int) -> str:
        """The address of relay `index` of a broadcast."""
        return self._address(channel.name + RELAY, index, self.ports[channel.name])

    def _address(self, role: str, index: int, port: int) -> str:
        name = self.plan.name
        return f"tcp://{host(name, role, index, queued=bool(self.plan.queue))}.{name}:{port}"

    def _control_edges(self) -> Iterator[Edge]:
        for role in self.plan.roles:
            if not role.ends_run:
                yield Edge(role.name, ending(self.plan).name, CONTROL_PORT)

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
            raise InvalidInput(f"spec.prometheus.port: {port} is the port of {taken!r} in a cluster; 9400 is free")
        if port < FIRST_FREE_PORT:
            raise InvalidInput(f"spec.prometheus.port: must be {FIRST_FREE_PORT} or more in a cluster, not {port}")
