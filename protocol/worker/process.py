"""Process: what the function of a role receives. An author of an algorithm needs no other class of this package."""

import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from surreal.protocol.broadcast.publisher import Publisher
from surreal.protocol.broadcast.relay import Relay
from surreal.protocol.broadcast.subscriber import Subscriber
from surreal.protocol.graph import METRICS, RELAY
from surreal.protocol.profiling.spans import PYTHON, Operation, operation
from surreal.protocol.service.client import ServiceClient
from surreal.protocol.service.server import ServiceServer
from surreal.protocol.service.sharded import ShardedClient
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.stream.sharded import ShardedSender
from surreal.protocol.transport.selector import Selectable, Selector
from surreal.protocol.wiring import ChannelWiring, Wiring
from surreal.protocol.worker.session import Session

CHECK_INTERVAL_S = 1.0
"""Time after which a relay checks whether its publisher refuses it."""


class Process:
    """One process of a run, as its role sees it.

    A channel opens at the first call with its name; later calls return the same object. The runner closes it. Call all
    methods from the thread that the role's function runs in, unless they say otherwise.
    """

    def __init__(self, session: Session) -> None:
        """Take what the runner, or a test, has made."""
        self.session = session
        """The run behind this process, for the runner and for libraries: gauges, who is alive, why it was stopped."""
        self.wiring: Wiring = session.wiring
        """The place of this process in the run: role, index, replicas, run_folder, and the fields below."""
        self.config: Mapping[str, Any] = session.wiring.config
        """Settings of the algorithm, validated."""
        self.env: Mapping[str, Any] = session.wiring.env
        """The environment: `id`, `copies` and `options`."""
        self.seed: int = session.wiring.seed
        """Seed of the run, the same in all its processes; `rng` differs."""

    @cached_property
    def rng(self) -> np.random.Generator:
        """The random generator of this process; other processes and other starts of this one get other numbers."""
        wiring = self.wiring
        role = int.from_bytes(wiring.role.encode()[:64], "little")
        return np.random.default_rng([wiring.seed, wiring.index, wiring.start, role])

    @property
    def stopping(self) -> threading.Event:
        """The event that is set once this process has been asked to stop. Any thread may wait for it."""
        return self.session.stopping

    @property
    def should_stop(self) -> bool:
        """Return True once this process has been asked to stop: return from the role's function soon."""
        return self.stopping.is_set()

    def sender(self, name: str) -> StreamSender | ShardedSender:
        """Return the sending end of a stream. Raises Fatal, listing this role's streams, if there is none."""
        return self.session.open("send", "stream", name, self._make_sender)

    def receiver(self, name: str) -> StreamReceiver:
        """Return the receiving end of a stream. Raises Fatal, listing this role's streams, if there is none."""

        def make(wired: ChannelWiring) -> StreamReceiver:
            return StreamReceiver(self.session.node, self.session.own_address(wired), wired.window, wired.finite)

        return self.session.open("receive", "stream", name, make)

    def publisher(self, name: str) -> Publisher:
        """Return the writing end of a broadcast. Raises Fatal, listing this role's broadcasts, if there is none."""

        def make(wired: ChannelWiring) -> Publisher:
            return Publisher(self.session.node, self.session.own_address(wired), wired.dtype)

        return self.session.open("send", "broadcast", name, make)

    def subscriber(self, name: str) -> Subscriber:
        """Return the reading end of a broadcast. Raises Fatal, listing this role's broadcasts, if there is none."""

        def make(wired: ChannelWiring) -> Subscriber:
            return Subscriber(self.session.node, self.session.upstream_address(wired))

        return self.session.open("receive", "broadcast", name, make)

    def client(self, name: str) -> ServiceClient:
        """Return the asking end of a service. Raises Fatal, listing this role's services, if there is none."""

        def make(wired: ChannelWiring) -> ServiceClient:
            return ServiceClient(self.session.node, wired.addresses, wired.window)

        return self.session.open("send", "service", name, make)

    def clients(self, name: str) -> ShardedClient:
        """Return the asking end of a service whose replicas hold different things: one client for each.

        Raises Fatal, listing this role's services, if there is none.
        """

        def make(wired: ChannelWiring) -> ShardedClient:
            return ShardedClient(self.session.node, wired.addresses, wired.window)

        return self.session.open("send", "service", name, make)

    def server(self, name: str) -> ServiceServer:
        """Return the answering end of a service. Raises Fatal, listing this role's services, if there is none."""

        def make(wired: ChannelWiring) -> ServiceServer:
            return ServiceServer(self.session.node, self.session.own_address(wired), wired.window)

        return self.session.open("receive", "service", name, make)

    def wait(self, channels: Sequence[Selectable], timeout: float | None = None) -> list[Selectable]:
        """Return those of `channels` that have something to read, as soon as one has.

        `channels`: stream receivers, service servers and subscribers of this process. A subscriber has something to
        read if its newest version was not returned by `latest` or `wait` before. Empty after `timeout` seconds (None:
        waits for ever). Rarely a receiver is returned that has only a repeated message: call `recv(timeout=0)` on it.
        Raises Stopping once this process has been asked to stop.
        """
        return self._selector.wait(channels, timeout)

    def report(self, metrics: Mapping[str, float], steps: int | None = None) -> None:
        """Report numbers of this process, by name, for the status and the metrics of the run.

        In the process that serves control they are shown at once. Other processes send them on the lossy stream
        `metrics` to the role that reads it. `steps`: environment steps so far, if known. Raises Fatal if the graph has
        no stream `metrics` from this role.
        """
        row = {**metrics, **({} if steps is None else {"steps": steps})}
        if self.wiring.serves_control:
            self.session.gauges.set(self.wiring.name, row)
        else:
            self.sender(METRICS).send({}, row)

    def operation(self, name: str, resource: str = PYTHON) -> Operation:
        """Return a context manager: `surreal profile` shows the time inside it as the operation `name`.

        `resource` is what the time uses, one of profiling.spans.RESOURCES. Operations nest. While no profile is taken
        it costs a quarter of a microsecond: give it a fragment or an update, not a step. Raises ValueError for another
        resource.
        """
        return operation(name, resource)

    @cached_property
    def _selector(self) -> Selector:
        selector = Selector(self.session.node)
        self.session.on_close.append(selector.close)
        return selector

    def _make_sender(self, wired: ChannelWiring) -> StreamSender | ShardedSender:
        settings = (wired.window, wired.lossy, wired.finite)
        if len(wired.addresses) > 1:
            return ShardedSender(self.session.node, wired.addresses, *settings)
        return StreamSender(self.session.node, wired.addresses[0], *settings)


def relay(process: Process) -> None:
    """Run the role of a broadcast's relays until told to stop."""
    session, wiring = process.session, process.wiring
    wired = wiring.channels[wiring.role.removesuffix(RELAY)]

    def make() -> Relay:
        return Relay(session.node, wired.addresses[0], wired.relays[wiring.index])

    served = session.open_once("relay", wired.name, make)
    while not process.stopping.wait(CHECK_INTERVAL_S):
        served.check()
