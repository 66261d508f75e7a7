"""A ZeroMQ socket that sends and receives packets: options, addresses, and refusal of what is malformed."""

import math
import signal
from collections import deque
from collections.abc import Sequence
from typing import Any

import zmq
from zmq import backend

from surreal.protocol.errors import Fatal, SurrealError
from surreal.protocol.profiling.spans import ACTIVE, IDLE, NOTHING, operation
from surreal.protocol.transport.addresses import check_address, listening
from surreal.protocol.transport.authorization import Access
from surreal.protocol.transport.connections import MALFORMED_SCORE, MAX_SCORE, REFUSED_SCORE, Connection, Connections
from surreal.protocol.transport.curve_keys import Keys
from surreal.protocol.transport.monitor import HandshakeMonitor
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.socket_options import set_heartbeats, set_options
from surreal.protocol.transport.stats import Stats
from surreal.protocol.wire.batches import decode_batch, is_batch
from surreal.protocol.wire.codec import decode, encode_body, encode_prefix
from surreal.protocol.wire.limits import (
    MAX_FRAME_BYTES,
    MAX_FRAMES,
    MAX_HEADER_BYTES,
    MAX_PACKET_BYTES,
    MalformedError,
    ProtocolVersionError,
)
from surreal.protocol.wire.packet import Kind, Packet

IO_INTERVAL_S = 0.2
"""Seconds between two looks of the I/O thread at a stream whose thread is elsewhere."""
STOP_POLL_S = 0.1
"""Seconds after which a waiting thread looks whether it shall stop."""
CONTROL_SLOTS = 16
"""Packets other than messages that fit in a socket's queue."""
READ_BATCH = 1000
"""Packets read before others have their turn."""
NOBLOCK, SNDMORE = int(zmq.NOBLOCK), int(zmq.SNDMORE)  # enum arithmetic costs 3 us a message
_NOBLOCK_MORE = NOBLOCK | SNDMORE
_send = backend.Socket.send  # what zmq.Socket.send ends in, without 0.8 us of options that are not used here
_receive = backend.Socket.recv
TIMERS = (signal.ITIMER_REAL, signal.ITIMER_PROF)
"""Timers of this process whose signals may come often."""


def _access_of(node: Node, address: str) -> Access:
    """Return the roles at the ends of an address. Raises Fatal if the address is unknown or a role has no key."""
    access = node.access.get(address)
    roles = {access.server, *access.clients} if access else set()
    missing = sorted(roles - node.keys.public.keys()) if node.keys else []
    if not access or missing:
        why = f"there is no key of {', '.join(missing)}" if access else "no role is known to have business there"
        raise Fatal(f"{node.name} cannot use {address}: {why}")
    return access


def _refused(reason: str) -> Packet:
    """Return the packet that a connecting socket hands over if the other end refuses it."""
    return Packet(Kind.REFUSED, 0, 0, 0, 0, "peer", 0, (0, 0), {"reason": reason}, {}, 0)


class PacketSocket:
    """One socket. The single peer binds (ROUTER); the many peers connect (DEALER with automatic identity).

    Not thread-safe: its owner uses it under a lock, or in the I/O thread only. No method blocks, except `wait`,
    and `receive` where it gets seconds.
    """

    def __init__(
        self,
        node: Node,
        address: str,
        *,
        binds: bool,
        queue: int,
        immediate: bool = False,
        heartbeats: bool = False,
        largest: int = MAX_PACKET_BYTES,
        later: bool = False,
    ) -> None:
        """Bind or connect. Raises Fatal for an address that is not safe to use.

        `queue`: packets that the socket holds per peer and direction. `immediate`: hold none while disconnected.
        `heartbeats`: disconnect from a process that has not run for some seconds; for ports of little traffic.
        `largest`: bytes of a packet that may come in. `later`: small arrays that come in wait in `Packet.inline`.
        """
        check_address(address, node.keys is not None)
        access = _access_of(node, address) if node.keys else None
        self.node, self.address, self.stats = node, address, Stats()
        self._binds = binds
        self._returned: deque[tuple[bytes, Packet]] = deque()
        """Packets that were put back."""
        self._later, self._patience = later, -1
        """Small arrays stay inline; milliseconds that libzmq waits for a packet, -1 for ever."""
        self._peer = Connection(-1)
        """The connection of a socket that has but one."""
        self.zmq_socket = node.context.socket(zmq.ROUTER if binds else zmq.DEALER)
        set_options(self.zmq_socket, address, queue, immediate=immediate, binds=binds)
        if heartbeats:
            set_heartbeats(self.zmq_socket, binds)
        self.zmq_socket.setsockopt(zmq.MAXMSGSIZE, min(largest, MAX_FRAME_BYTES))
        if node.keys and access:
            self._set_keys(node.keys, access)
        self._poller = zmq.Poller()
        self._poller.register(self.zmq_socket, zmq.POLLIN)
        self._connections: Connections | None = None
        self._handshakes: HandshakeMonitor | None = None
        watch = (self.zmq_socket, node.loop, self._on_rejected)
        if binds:
            self._connections = Connections(*watch, keyed=bool(node.keys), packet=largest, queue=queue)
        elif node.keys or heartbeats:
            self._handshakes = HandshakeMonitor(*watch)
        self._open()

    def _open(self) -> None:
        """Listen or connect. Raises SurrealError when the system does not let us."""
        try:
            if self._connections:
                self.zmq_socket.bind(listening(self.address))
                self._connections.bound()
            else:
                self.zmq_socket.connect(self.address)
        except zmq.ZMQError as error:
            self.close()
            verb = "listen on" if self._binds else "connect to"
            raise SurrealError(f"{self.node.name} cannot {verb} {self.address}: {error}") from None

    def _set_keys(self, keys: Keys, access: Access) -> None:
        """Speak CURVE, and take none but the roles that have business at this address."""
        self.zmq_socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
        self.zmq_socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public[keys.role])
        if not self._binds:
            self.zmq_socket.setsockopt(zmq.CURVE_SERVERKEY, keys.public[access.server])
        elif self.node.zap:
            self.zmq_socket.setsockopt(zmq.CURVE_SERVER, 1)
            self.zmq_socket.setsockopt(zmq.ZAP_DOMAIN, self.address.encode())
            self.node.zap.allow(self.address, access.clients, self._on_rejected)

    def send(self, header: bytes, frames: Sequence[Any] = (), route: bytes = b"") -> bool:
        """Send without blocking; False if the peer is gone or its queue is full.

        Frames, arrays or zmq.Frame, are not copied.
        """
        try:
            try:
                self._send_parts(header, frames, route)
            except zmq.Again:
                # A queue that was full stays so for a send that does not wait, until libzmq looks at it: here.
                self.zmq_socket.getsockopt(zmq.EVENTS)
                self._send_parts(header, frames, route)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                return False
            raise
        return True

    def _send_parts(self, header: bytes, frames: Sequence[Any], route: bytes) -> None:
        if route:
            _send(self.zmq_socket, route, _NOBLOCK_MORE)
        if not frames:
            _send(self.zmq_socket, header, NOBLOCK)
            return
        _send(self.zmq_socket, header, _NOBLOCK_MORE)
        for left, frame in enumerate(frames, 1 - len(frames)):
            _send(self.zmq_socket, frame, SNDMORE if left else 0, False)

    def receive(self, seconds: float = 0.0) -> tuple[bytes, Packet] | None:
        """Return the next packet and the route to answer it (empty if connected); None if none comes within `seconds`.

        Count, log and skip malformed packets. On a connecting socket a packet of another protocol version comes back as
        REFUSED.
        """
        if self._returned:
            return self._returned.popleft()
        flags = self._wait_by(seconds) if seconds > 0 else NOBLOCK
        while (received := self._receive_parts(flags)) is not None:
            route, first, frames = received
            flags = NOBLOCK
            connection = self._connection_of(route, first)
            if connection.score >= MAX_SCORE:  # cut; this was under way
                self.stats.refused += 1
                continue
            try:
                packet = decode_batch(frames) if is_batch(frames[0]) else decode(frames, self._later)
                connection.count(len(frames[0]) + (packet.size if len(frames) > 1 else 0))
                if packet.sender.startswith(connection.prefix):
                    return route, packet
                self._refuse_impostor(route, connection, packet)
            except ProtocolVersionError as error:
                text = f"{error}: install the same version of surreal in both"
                self.refuse(route, "protocol", text)
                if not self._binds:
                    return route, _refused(text)
            except MalformedError as error:
                self.stats.refused += 1
                self.node.warn(f"{self.address} malformed", f"malformed packet dropped at {self.address}: {error}")
                if self._connections:
                    self._connections.add_score(
                        route, MALFORMED_SCORE, f"ten packets were malformed, the last one: {error}"
                    )
        denied = self._handshakes and self._handshakes.denied()
        return (b"", _refused(denied)) if denied else None

    def _wait_by(self, seconds: float) -> int:
        """Return the flags of a receive that waits up to `seconds`.

        libzmq itself waits, which costs a third of a poll and a second look. A profile has to see the wait; and pyzmq
        begins it anew after each signal, so that a timer that fires often would make it endless.
        """
        if ACTIVE.recorder or any(signal.getitimer(timer)[0] for timer in TIMERS):
            if not int(self.zmq_socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                self.wait(seconds)
            return NOBLOCK
        patience = math.ceil(seconds * 1000)
        if patience != self._patience:
            self.zmq_socket.setsockopt(zmq.RCVTIMEO, patience)
            self._patience = patience
        return 0

    def put_back(self, route: bytes, packet: Packet) -> None:
        """Have the next `receive` return this packet, which the last one returned."""
        self._returned.appendleft((route, packet))

    def refuse(self, route: bytes, thing: str, reason: str, session: int = 0) -> None:
        """Count and log a refusal, and where the port is bound tell the peer why."""
        self.stats.refused += 1
        self.node.warn(f"{self.address} {thing}", f"refused a peer at {self.address}: {reason}")
        if self._binds:
            body = encode_body(self.node.name, self.node.incarnation, meta={"reason": reason}).body
            self.send(encode_prefix(Kind.REFUSED, 0, session, 0, 0) + body, route=route)
        if self._connections:
            self._connections.add_score(route, REFUSED_SCORE, f"it goes on after it was refused: {reason}")

    @property
    def closed(self) -> bool:
        """Return True after `close`."""
        return bool(self.zmq_socket.closed)

    @property
    def connected(self) -> bool:
        """True if a running process is at the other end; for a connecting socket with heartbeats.

        libzmq of the peer answers even while a call into C holds the GIL there and no thread of Python can.
        """
        return self._handshakes is not None and self._handshakes.up

    def wait(self, seconds: float) -> bool:
        """Block until there is something to receive, at most `seconds`; whether there is."""
        with operation("wait", IDLE) if seconds else NOTHING:
            return bool(self._poller.poll(math.ceil(seconds * 1000)))

    def close(self, linger: float = 0.0) -> None:
        """Close the socket; what it still has to send gets `linger` seconds in the background."""
        if self.node.zap and self._binds:
            self.node.zap.forget(self.address)
        for watcher in (self._connections, self._handshakes):
            if watcher:
                watcher.close()
        self.zmq_socket.close(linger=int(linger * 1000))

    def _connection_of(self, route: bytes, frame: zmq.Frame) -> Connection:
        if self._connections is None:
            return self._peer
        return self._connections.routes.get(route) or self._connections.identify(route, frame)

    def _refuse_impostor(self, route: bytes, connection: Connection, packet: Packet) -> None:
        reason = f"the key of {connection.prefix[:-1]} was used to send as {packet.sender}"
        self.refuse(route, f"key of {connection.prefix}", reason, packet.session)

    def _on_rejected(self, thing: str, text: str) -> None:
        """Count and log that a connection was refused or cut."""
        self.stats.refused += 1
        self.node.warn(f"{self.address} {thing}", f"{self.address}: {text}")

    def _receive_parts(self, flags: int) -> tuple[bytes, zmq.Frame, list[bytes | memoryview]] | None:
        """Return the route, the first frame and the memory of all frames of one message; None if there is none.

        Keep at most one frame more than a packet may have.
        """
        try:
            route = _receive(self.zmq_socket, flags) if self._binds else b""
            first = _receive(self.zmq_socket, flags, False)
        except zmq.Again:
            return None
        # The copy of a header costs less than a view, and aligns its arrays.
        frames: list[bytes | memoryview] = [first.bytes if len(first) <= MAX_HEADER_BYTES else first.buffer]
        more = first.more
        while more:
            frame = _receive(self.zmq_socket, 0, False)
            more = frame.more
            if len(frames) <= MAX_FRAMES:
                frames.append(frame.buffer)
        return route, first, frames
