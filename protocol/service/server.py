"""The answering end of a service: gathers requests of many clients, so that they can be computed at once.

docs/wire.md has the rules; `client.py` is the other end.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

import numpy as np
import zmq

from surreal.protocol.errors import Stopping
from surreal.protocol.service.requests import Arrays, Batch, Client, Request, Responder
from surreal.protocol.service.rows import Outcome
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import CONTROL_SLOTS, IO_INTERVAL_S, READ_BATCH, STOP_POLL_S, PacketSocket
from surreal.protocol.transport.sessions import SessionTable
from surreal.protocol.transport.stats import Stats
from surreal.protocol.wire.codec import encode_body, encode_prefix
from surreal.protocol.wire.packet import Encoded, Kind, Packet
from surreal.protocol.wire.schema import Signature

log = logging.getLogger("surreal")

# Looking up a member of an enum takes longer than comparing ints.
_PROBE, _REQUEST, _REPLY = int(Kind.PROBE), int(Kind.REQUEST), int(Kind.REPLY)


class ServiceServer:
    """The answering end: binds. One thread gathers and replies and reads the socket; the I/O thread reads while it
    computes.

    A repeated request is dropped while the first one is not answered. It is computed anew if the answer was lost on the
    way. Clients also ask other replicas again, so the same request must do no harm when it is computed twice.

    Counters: `messages` were handed over, `duplicates` asked again meanwhile, `dropped` expired before they were
    computed. `refused` were malformed, of an impostor, or more than a client's share.
    """

    def __init__(self, node: Node, address: str, window: int) -> None:
        """Listen. `window`: requests of one client that may be unanswered; the clients' window."""
        self.node = node
        self._window = window
        self._responder = Responder(node.name, node.incarnation, self._answer)
        self._socket = PacketSocket(node, address, binds=True, queue=window + CONTROL_SLOTS, later=True)
        self._names = SessionTable()
        self._clients: dict[str, Client] = {}
        self._groups: dict[Signature, deque[Request]] = {}
        self._queued = 0
        self._said = encode_body(node.name, node.incarnation).body
        self._lock = threading.Lock()
        self._timer = node.loop.every(IO_INTERVAL_S, self._tick)

    def recv(self, timeout: float | None = None) -> Request | None:
        """Return the next request, or None after `timeout` seconds (0: do not wait; None: wait on). Raises Stopping."""
        return next(iter(self.gather(1, timeout=timeout)), None)

    def gather(self, max_size: int, max_wait: float = 0.0, timeout: float | None = None) -> Batch:
        """Return up to `max_size` requests that can be stacked.

        It returns as soon as there are so many, or `max_wait` seconds after it saw the first one (0: those that are
        there; rounded up to milliseconds). Empty after `timeout` seconds without any (None: never). Raises Stopping.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            while True:
                self.node.check()
                left = STOP_POLL_S if deadline is None else deadline - time.monotonic()
                self._drain(max_size, 0.0 if self._queued else min(left, STOP_POLL_S))
                if self._queued:
                    self._wait_for_more(max_size, time.monotonic() + max_wait)
                    if requests := self._pop(max_size):
                        return Batch(self._responder, requests, ordered=True)
                elif left <= 0:
                    return Batch(self._responder, [])

    def serve(
        self, handler: Callable[[Arrays], Mapping[str, np.ndarray]], max_size: int, max_wait: float = 0.0
    ) -> None:
        """Return answer batches with `handler(stacked arrays) -> stacked arrays` until this process stops: raises
        Stopping.

        What the handler raises goes to the clients of that batch, and to the log.
        """
        while True:
            batch = self.gather(max_size, max_wait)
            try:
                batch.reply(handler(batch.arrays))
            except Stopping:
                raise
            except Exception as error:
                log.exception("the handler of %s failed for %d requests", self._socket.address, len(batch))
                batch.fail(f"{type(error).__name__}: {error}")

    @property
    def select_lock(self) -> threading.Lock:
        """The lock that Selector holds while it polls the socket."""
        return self._lock

    @property
    def select_socket(self) -> "zmq.Socket[bytes]":
        """The socket that Selector polls."""
        return self._socket.zmq_socket

    def has_message(self) -> bool:
        """Return True if there are requests to gather. For Selector."""
        self._drain(READ_BATCH)
        return self._queued > 0

    def wake_on_message(self, wake: Callable[[], None]) -> None:
        """Return at once: Selector polls the socket itself."""

    @property
    def stats(self) -> Stats:
        """A copy of the counters; `depth` is the number of requests that wait to be gathered."""
        return self._socket.stats.copy(depth=self._queued)

    def close(self) -> None:
        """Stop listening; answers that are under way get a moment."""
        self.node.loop.cancel(self._timer)
        with self._lock:
            if not self._socket.closed:
                self._socket.close(linger=STOP_POLL_S)

    def _tick(self) -> None:
        """Read requests in the I/O thread while the working thread computes.

        The time that a request has left runs from the moment when it is read.
        """
        if self._lock.acquire(blocking=False):
            try:
                self._drain(READ_BATCH)
            finally:
                self._lock.release()

    def _drain(self, limit: int, seconds: float = 0.0) -> None:
        """Read what has arrived, up to `limit` requests and READ_BATCH packets: probes are not counted as requests.

        Waits up to `seconds` for the first packet.
        """
        receive, take, enough = self._socket.receive, self._take, self._queued + limit
        for _ in range(READ_BATCH):
            if self._queued >= enough or (received := receive(seconds)) is None:
                return
            take(*received)
            seconds = 0.0

    def _wait_for_more(self, max_size: int, until: float) -> None:
        """Read until the next batch is full, or until then."""
        while len(self._groups[self._next()]) < max_size and (left := until - time.monotonic()) > 0:
            self._drain(max_size, min(left, STOP_POLL_S))
            self.node.check()

    def _next(self) -> Signature:
        """Return the group whose first request has waited longest."""
        if len(self._groups) == 1:
            return next(iter(self._groups))
        return min(self._groups, key=lambda group: self._groups[group][0].arrived)

    def _pop(self, max_size: int) -> list[Request]:
        """Return up to `max_size` requests of the next group whose time is not over."""
        key = self._next()
        group, now = self._groups[key], time.monotonic()
        requests: list[Request] = []
        stats, waited = self._socket.stats, len(group)
        while group and len(requests) < max_size:
            request = group.popleft()
            if request.deadline > now:
                requests.append(request)
            else:
                stats.dropped += 1
                request.client.open.pop(request.seq, None)
        self._queued -= waited - len(group)
        if requests:
            # All of one signature are of one size.
            stats.messages += len(requests)
            stats.bytes += len(requests) * requests[0].size
        if not group:
            del self._groups[key]
        return requests

    def _take(self, route: bytes, packet: Packet) -> None:
        """Queue a request, or answer a probe, of a client that is admitted."""
        now = time.monotonic()
        client = self._clients.get(packet.sender)
        if (
            packet.kind == _REQUEST
            and client
            and client.holder.session == packet.session
            and client.holder.incarnation == packet.incarnation
        ):
            # Nearly all packets: a request of a client that is known.
            client.holder.route, client.holder.heard = route, now
        elif (client := self._admit(route, packet, now)) is None:
            return
        if packet.kind == _PROBE:
            self._socket.send(encode_prefix(Kind.ACK, 0, packet.session, packet.seq, 0) + self._said, route=route)
        elif packet.seq in client.open:
            self._socket.stats.duplicates += 1
        else:
            self._queue(client, packet, now)

    def _admit(self, route: bytes, packet: Packet, now: float) -> Client | None:
        """Return the client that sent a packet, which may be new; None if it is refused."""
        if packet.kind not in (_PROBE, _REQUEST):
            self._socket.refuse(route, "kind", f"{packet.sender} sent kind {packet.kind} to a service", packet.session)
            return None
        admitted = self._names.admit(route, packet, packet.meta.get("who") if packet.kind == _PROBE else "", now)
        if isinstance(admitted, str):
            self._socket.refuse(route, packet.sender, admitted, packet.session)
            return None
        holder, new = admitted
        if new:
            self._clients[packet.sender] = Client(holder)
        return self._clients[packet.sender]

    def _queue(self, client: Client, packet: Packet, now: float) -> None:
        """Put a request to those like it, unless its client has as many as it may."""
        if len(client.open) >= self._window:
            client.forget_expired(now)
        if len(client.open) >= self._window:
            self._socket.stats.refused += 1
            reason = f"{packet.sender} has {self._window} unanswered requests at {self._socket.address} and asks more"
            self.node.warn(f"{self._socket.address} {packet.sender} busy", reason)
            prefix = encode_prefix(Kind.REPLY, Outcome.BUSY, packet.session, packet.seq, 0)
            self._socket.send(prefix + self._said, route=client.holder.route)
            return
        request = Request(self._responder, client, packet, now)
        client.open[packet.seq] = request
        self._queued += 1
        group = self._groups.get(packet.signature)
        if group is None:
            group = self._groups[packet.signature] = deque()
        group.append(request)

    def _answer(self, requests: list[Request], bodies: list[Encoded], outcome: int) -> None:
        """Send each request its answer, unless it has one. What gets lost on the way is asked again."""
        send = self._socket.send
        with self._lock:
            for request, item in zip(requests, bodies, strict=True):
                client, seq = request.client, request.seq
                if client.open.get(seq) is request:
                    del client.open[seq]
                    prefix = encode_prefix(_REPLY, outcome, client.holder.session, seq, 0)
                    send(prefix + item.body, item.frames, client.holder.route)
