"""What a role's function receives: its wiring, its channels by name, and whether it shall stop."""

import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from surreal.protocol.broadcast.publisher import Publisher
from surreal.protocol.broadcast.relay import Relay
from surreal.protocol.broadcast.subscriber import Subscriber
from surreal.protocol.errors import Fatal, Refused, did_you_mean
from surreal.protocol.graph import RELAY, ChannelKind, ProcessName, role_of
from surreal.protocol.membership.member import Member
from surreal.protocol.membership.server import Server
from surreal.protocol.service.client import ServiceClient
from surreal.protocol.service.server import ServiceServer
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.stream.sharded import ShardedSender
from surreal.protocol.telemetry.counters import CONTROL, CounterTable, report
from surreal.protocol.telemetry.gauges import Gauges
from surreal.protocol.telemetry.reporter import Reporter
from surreal.protocol.transport.authorization import access_table
from surreal.protocol.transport.curve_keys import Keys
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import STOP_POLL_S
from surreal.protocol.wiring import ChannelWiring, Wiring

T = TypeVar("T")


class Process:
    """This process as a member of its run. Close it, or use it as a context manager.

    Channels open at the first call with their name; later calls return the same object.
    """

    def __init__(self, wiring: Wiring) -> None:
        """Starts the I/O thread and joins (or serves) the control port of the run."""
        self.wiring = wiring
        keys = Keys.read(Path(wiring.keys)) if wiring.keys else None
        self._node = Node(wiring.name, wiring.incarnation, keys, access_table(wiring) if keys else None)
        self._channels: dict[tuple[str, str], Any] = {}
        self._counters = CounterTable(wiring)
        self.gauges = Gauges(wiring)
        """Newest values of the algorithm's metrics; shown where control is served."""
        self.fatal = ""
        """Why this process can never succeed; a member tells the run when it is closed."""
        self.failure = ""
        """Where control is served: which process that the run needs can never succeed, and why."""
        self._reporter: Reporter | None = None
        try:
            self._control = self._join()
        except BaseException:
            self._node.close()
            raise
        if isinstance(self._control, Server):
            self._reporter = Reporter(wiring, self._counters, self.gauges, self._count, self.alive)

    @property
    def stopping(self) -> threading.Event:
        """Set once this process has been asked to stop."""
        return self._node.stopping

    @property
    def stop_reason(self) -> str:
        """Why; empty before."""
        return self._node.stop_reason

    @property
    def stopping_for(self) -> float:
        """Seconds since this process was asked to stop; 0 before."""
        return max(0.0, monotonic() - self._node.stopped_at)

    @property
    def preempted(self) -> bool:
        """True where the stop is this process's alone, by a signal, and not the end of the run."""
        return self._node.preempted

    def stop(self, reason: str) -> None:
        """Ask this process alone to stop; the first reason is kept. Safe in a signal handler and from any thread."""
        self._node.loop.call(lambda: self._node.stop(reason, preempted=True))

    def every(self, seconds: float, task: Callable[[], None]) -> None:
        """Have the I/O thread call `task` each so many seconds while this process lives."""
        self._node.loop.every(seconds, task)

    def check(self) -> None:
        """Raise Refused when the run will not have this process, Stopping when it has been asked to stop."""
        self.check_membership()
        self._node.check()

    def check_membership(self) -> None:
        """Raise Refused when the run will not have this process."""
        if isinstance(self._control, Member) and self._control.refused:
            raise Refused(f"{self.wiring.name} was turned away: {self._control.refused}")

    def sender(self, name: str) -> StreamSender | ShardedSender:
        """The sending end of the stream of that name. Raises Fatal, which lists them, if this role has none."""
        return self._open("send", "stream", name, self._make_sender)

    def _make_sender(self, wired: ChannelWiring) -> StreamSender | ShardedSender:
        how = (wired.window, wired.lossy, wired.finite)
        if len(wired.addresses) > 1:
            return ShardedSender(self._node, wired.addresses, *how)
        return StreamSender(self._node, wired.addresses[0], *how)

    def receiver(self, name: str) -> StreamReceiver:
        """The receiving end of the stream of that name. Raises Fatal, which lists them, if this role has none."""
        return self._open(
            "receive",
            "stream",
            name,
            lambda wired: StreamReceiver(self._node, self._own(wired), wired.window, wired.finite),
        )

    def publisher(self, name: str) -> Publisher:
        """The writing end of the broadcast of that name. Raises Fatal, which lists them, if this role has none."""
        return self._open("send", "broadcast", name, lambda wired: Publisher(self._node, self._own(wired), wired.dtype))

    def subscriber(self, name: str) -> Subscriber:
        """The reading end of the broadcast of that name. Raises Fatal, which lists them, if this role has none."""
        return self._open("receive", "broadcast", name, lambda wired: Subscriber(self._node, self._upstream(wired)))

    def client(self, name: str) -> ServiceClient:
        """The asking end of the service of that name. Raises Fatal, which lists them, if this role has none."""
        return self._open(
            "send", "service", name, lambda wired: ServiceClient(self._node, wired.addresses, wired.window)
        )

    def server(self, name: str) -> ServiceServer:
        """The answering end of the service of that name. Raises Fatal, which lists them, if this role has none."""
        return self._open(
            "receive", "service", name, lambda wired: ServiceServer(self._node, self._own(wired), wired.window)
        )

    def relay(self, name: str) -> Relay:
        """The relay of the broadcast of that name that this process is."""
        wired = self.wiring.channels[name]
        opened = Relay(self._node, wired.addresses[0], wired.relays[self.wiring.index])
        self._channels["relay", name] = opened
        return opened

    def alive(self, role: str) -> set[int]:
        """Indices of `role` heard within the last 10 s; known where control is served, elsewhere empty."""
        return self._control.alive(role) if isinstance(self._control, Server) else set()

    def stop_all(self, timeout: float = 2.0, reason: str = "the run is over") -> None:
        """Where control is served: tell every member that the run is over, and wait for their confirmations."""
        if isinstance(self._control, Server):
            self._control.stop_all(reason, timeout)

    def drain(self, timeout: float) -> set[str]:
        """Where control is served, after `stop_all`: stay up to `timeout` seconds, or until this process is asked to
        stop, so that members that are just starting hear of it too; those that have not."""
        if not isinstance(self._control, Server):
            return set()
        every = {str(name) for name in ProcessName.all_of(self.wiring.replicas)}
        missing, deadline = every - {self.wiring.name}, monotonic() + timeout
        while missing and not self.stopping.is_set() and (left := deadline - monotonic()) > 0:
            missing = self._control.missing(missing, min(left, STOP_POLL_S))
        return missing

    def close(self) -> None:
        """Close the channels (senders flush for a second), leave the run, end the I/O thread."""
        try:
            for channel in self._channels.values():
                channel.close()
            if self._reporter:
                self._reporter.close()
            if isinstance(self._control, Member):
                self._control.close(self.fatal)
            else:
                self._control.close()
        finally:
            self._node.close()

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _join(self) -> Server | Member:
        """The end of the control port that is this process's."""
        if self.wiring.serves_control:
            return Server(self._node, self.wiring.control, self._counters.take, self._note_failure)
        return Member(self._node, self.wiring.control, lambda: report(self._channels))

    def _note_failure(self, process: str, reason: str) -> None:
        """A run can do without a role that sends nothing but telemetry."""
        role = role_of(process)
        if not self.failure and any(role in each.frm and not each.lossy for each in self.wiring.channels.values()):
            self.failure = f"{process} cannot go on: {reason}"
            self._node.stop(self.failure, preempted=True)

    def _count(self) -> None:
        """Where control is served: take in what this process itself counts."""
        ends = {**self._channels, ("serve", CONTROL): self._control}
        self._counters.take(self.wiring.name, self.wiring.incarnation, report(ends))

    def _upstream(self, wired: ChannelWiring) -> str:
        """Where this replica reads a broadcast: its share of the relays, or the publisher where there are none."""
        return wired.relays[self.wiring.index % len(wired.relays)] if wired.relays else wired.addresses[0]

    def _own(self, wired: ChannelWiring) -> str:
        """The address at which this replica binds."""
        return wired.addresses[self.wiring.index]

    def _open(self, verb: str, kind: ChannelKind, name: str, make: Callable[[ChannelWiring], T]) -> T:
        """The channel end opened before, or a new one if the graph gives it to this role."""
        role = self.wiring.role
        ends = {
            wired.name: wired
            for wired in self.wiring.channels.values()
            if wired.kind == kind and role in (wired.frm if verb == "send" else wired.to)
        }
        if name not in ends:
            known = ", ".join(sorted(ends)) or "none"
            raise Fatal(f"{role} has no {kind} {name!r} to {verb} on{did_you_mean(name, ends)}; it has: {known}")
        if (verb, name) not in self._channels:
            self._channels[verb, name] = make(ends[name])
        channel: T = self._channels[verb, name]
        return channel


CHECK_EVERY = 1.0
"""Seconds after which the working thread looks whether the publisher will talk to it."""


def relay(process: "Process") -> None:
    """The role: relay one channel until told to stop."""
    served = process.relay(process.wiring.role.removesuffix(RELAY))
    while not process.stopping.wait(CHECK_EVERY):
        served.check()
