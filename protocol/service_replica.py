"""One replica of a service, as a client of it sees it: connected or not, silent or not, how busy with our requests."""

import time
from collections.abc import Sequence
from typing import Any

import zmq

from surreal.protocol.codec import Kind, Packet, encode_body, encode_prefix
from surreal.protocol.node import Node
from surreal.protocol.port import SPARE, Port

PROBE_AFTER = 2.0
"""Seconds without a word after which a client asks whether somebody is there; it also keeps the client's name."""
NEVER = float("-inf")


class Replica:
    """The connection to one replica, and what is known about it. Not thread-safe."""

    def __init__(self, node: Node, address: str, window: int, session: int) -> None:
        """Connects in the background."""
        self.port = Port(node, address, binds=False, queue=window + SPARE, immediate=True)
        self._session = session
        self._probe = encode_body(node.name, node.incarnation, meta={"who": node.who}).body
        self._asked = NEVER
        self._name, self._incarnation = "", 0
        self.heard = NEVER
        """Monotonic seconds."""
        self.silent = False
        """It said nothing for as long as a request waits before it asks somebody else."""
        self.refused = ""
        """Why it will not talk to us, if so."""
        self.blocked = False
        """It did not take the last packet: not connected, or its queue is full."""
        self.open = 0
        """Requests that it may be working at."""

    @property
    def described(self) -> str:
        """`learner/0 at tcp://127.0.0.1:5000`, or the address alone before it has said its name."""
        return f"{self._name} at {self.port.address}" if self._name else self.port.address

    def send(self, header: bytes, frames: Sequence[Any], now: float) -> bool:
        """Send without waiting, after a first word about who we are. False where it cannot be sent now."""
        taken = (self._asked != NEVER or self._ask(now)) and self.port.send(header, frames)
        self.blocked = not taken
        return taken

    def knows(self, packet: Packet) -> bool:
        """Note a sign of life. False for a packet that is not for this session, or from a server that was replaced."""
        if (
            packet.session != self._session
            or packet.incarnation < self._incarnation
            or packet.kind not in (Kind.REPLY, Kind.ACK)
        ):
            return False
        self._name, self._incarnation = packet.sender, packet.incarnation
        self.heard, self.silent = time.monotonic(), False
        return True

    def lost(self, now: float) -> bool:
        """Has the connection been lost since the last look? Asks whether somebody is there after a long silence."""
        # a socket with IMMEDIATE set can be written to while it is connected only
        lost = self._asked != NEVER and not int(self.port.socket.getsockopt(zmq.EVENTS)) & zmq.POLLOUT
        if lost:
            self._asked = NEVER
        if now - max(self._asked, self.heard) >= PROBE_AFTER and not self.refused:
            self._ask(now)
        return lost

    def close(self) -> None:
        """Disconnect."""
        if not self.port.socket.closed:
            self.port.close()

    def _ask(self, now: float) -> bool:
        if not self.port.send(encode_prefix(Kind.PROBE, 0, self._session, 0, 0) + self._probe):
            return False
        self._asked = now
        return True
