"""A ZeroMQ socket that sends and receives packets: options, addresses, and refusal of what is malformed."""

import ipaddress
import math
from collections.abc import Sequence
from typing import Any

import zmq

from surreal.protocol.codec import Kind, Packet, decode, encode_body, encode_prefix
from surreal.protocol.errors import Fatal, SurrealError
from surreal.protocol.limits import MAX_FRAME, MAX_FRAMES, Malformed, OtherProtocol
from surreal.protocol.node import Node
from surreal.protocol.stats import Stats

TICK = 0.2
"""Seconds between two looks of the I/O thread at a stream whose thread is elsewhere."""
SLICE = 0.1
"""Seconds after which a waiting thread looks whether it shall stop."""
HEARTBEAT_TIMEOUT = 5.0
"""Seconds without a sign of life from libzmq at the other end after which a port with heartbeats disconnects."""
SPARE = 16
"""Packets other than messages that fit in a socket's queue."""
NOBLOCK, SNDMORE = int(zmq.NOBLOCK), int(zmq.SNDMORE)  # enum arithmetic costs 3 us a message


def check_address(address: str) -> None:
    """Raise Fatal unless `address` is ipc:// with a path that the system takes, or tcp:// on loopback."""
    scheme, _, place = address.partition("://")
    if scheme == "ipc":
        if len(place.encode()) > zmq.IPC_PATH_MAX_LEN:
            raise Fatal(
                f"the socket path {place} has {len(place.encode())} bytes, this system allows {zmq.IPC_PATH_MAX_LEN}: "
                "use a shorter folder (SURREAL_HOME)"
            )
        return
    host = place.rpartition(":")[0].strip("[]")
    try:
        loopback = scheme == "tcp" and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        loopback = False
    if not loopback:
        raise Fatal(
            f"the address {address} is neither ipc:// nor tcp:// on loopback; this version has no keys yet and so "
            "talks inside one machine only"
        )


class Port:
    """One socket. The side of which there is one binds (ROUTER), all others dial (DEALER with automatic identity).

    Not thread-safe: its owner uses it under a lock, or in the I/O thread only. No method blocks, except `wait`.
    """

    def __init__(
        self, node: Node, address: str, *, binds: bool, queue: int, immediate: bool = False, heartbeats: bool = False
    ) -> None:
        """`queue`: packets that the socket holds per peer and direction. `immediate`: hold none while disconnected.
        `heartbeats`: disconnect from a process that has not run for HEARTBEAT_TIMEOUT; for ports of little traffic."""
        check_address(address)
        self.node, self.address, self.stats = node, address, Stats()
        self._binds = binds
        self.socket = node.context.socket(zmq.ROUTER if binds else zmq.DEALER)
        self._set_options(queue, immediate)
        if heartbeats:
            self._set_heartbeats()
        try:
            self.socket.bind(address) if binds else self.socket.connect(address)
        except zmq.ZMQError as error:
            self.socket.close()
            verb = "listen on" if binds else "connect to"
            raise SurrealError(f"{node.name} cannot {verb} {address}: {error}") from None
        self._poller = zmq.Poller()
        self._poller.register(self.socket, zmq.POLLIN)

    def _set_options(self, queue: int, immediate: bool) -> None:
        """Why these: TCP_MAXRT finds a dead peer in 5 s, and what is lost then is sent again by the stream."""
        options = {
            zmq.LINGER: 0,
            zmq.SNDHWM: queue,
            zmq.RCVHWM: queue,
            zmq.MAXMSGSIZE: MAX_FRAME,
            zmq.RECONNECT_IVL: 100,
            zmq.RECONNECT_IVL_MAX: 2000,
            zmq.CONNECT_TIMEOUT: 2000,
            zmq.HANDSHAKE_IVL: 5000,
            zmq.TCP_MAXRT: 5000,
            zmq.IMMEDIATE: immediate,
        }
        if self._binds:
            options |= {zmq.ROUTER_MANDATORY: 1, zmq.BACKLOG: 1024}
        for option, value in options.items():
            self.socket.setsockopt(option, int(value))

    def _set_heartbeats(self) -> None:
        """ZMTP heartbeats abort a dialling process whose queue of received packets is full (libzmq #3937): it gets no
        limit, and this is not for ports on which much arrives."""
        self.socket.setsockopt(zmq.HEARTBEAT_IVL, 1000)
        self.socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, int(HEARTBEAT_TIMEOUT * 1000))
        if not self._binds:
            self.socket.setsockopt(zmq.RCVHWM, 0)

    def send(self, header: bytes, frames: Sequence[Any] = (), route: bytes = b"") -> bool:
        """Send without blocking; False if the peer is gone or its queue is full.

        Frames, arrays or zmq.Frame, are not copied.
        """
        try:
            if route:
                self.socket.send(route, NOBLOCK | SNDMORE)
            self.socket.send(header, NOBLOCK | SNDMORE if frames else NOBLOCK)
            for left, frame in enumerate(frames, 1 - len(frames)):
                self.socket.send(frame, SNDMORE if left else 0, copy=False)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                return False
            raise
        return True

    def receive(self) -> tuple[bytes, Packet] | None:
        """The next packet and the route to answer it (empty when dialled), or None when there is none now.

        Malformed packets are counted, complained about and skipped. On a dialling port a packet of another protocol
        version comes back as REFUSED.
        """
        while (parts := self._receive_parts()) is not None:
            route = parts.pop(0).bytes if self._binds else b""
            try:
                return route, decode([part.buffer for part in parts])
            except OtherProtocol as error:
                text = f"{error}: install the same version of surreal in both"
                self.refuse(route, "protocol", text)
                if not self._binds:
                    return route, Packet(Kind.REFUSED, 0, 0, 0, 0, "peer", 0, (0, 0), {"reason": text}, {}, 0)
            except Malformed as error:
                self.stats.refused += 1
                self.node.complain(f"{self.address} malformed", f"malformed packet dropped at {self.address}: {error}")
        return None

    def refuse(self, route: bytes, thing: str, reason: str, session: int = 0) -> None:
        """Count and log a refusal, and where the port is bound tell the peer why."""
        self.stats.refused += 1
        self.node.complain(f"{self.address} {thing}", f"refused a peer at {self.address}: {reason}")
        if self._binds:
            body = encode_body(self.node.name, self.node.incarnation, meta={"reason": reason}).body
            self.send(encode_prefix(Kind.REFUSED, 0, session, 0, 0) + body, route=route)

    def wait(self, seconds: float) -> bool:
        """Block until there is something to receive, at most `seconds`; whether there is."""
        return bool(self._poller.poll(math.ceil(seconds * 1000)))

    def close(self, linger: float = 0.0) -> None:
        """Close the socket; what it still has to send gets `linger` seconds in the background."""
        self.socket.close(linger=int(linger * 1000))

    def _receive_parts(self) -> list[zmq.Frame] | None:
        """The frames of one message, at most one more than a packet may have, or None."""
        try:
            frame = self.socket.recv(NOBLOCK, copy=False)
        except zmq.Again:
            return None
        parts = [frame]
        while frame.more:
            frame = self.socket.recv(copy=False)
            if len(parts) < MAX_FRAMES + 2:
                parts.append(frame)
        return parts
