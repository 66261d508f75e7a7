"""A call of a service that has not ended yet, and the connection to one replica."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import zmq

from surreal.protocol.errors import SurrealError
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import CONTROL_SLOTS, PacketSocket
from surreal.protocol.wire.codec import encode_body, encode_prefix
from surreal.protocol.wire.packet import Encoded, Kind, Message, Packet


class Pending:
    """A request under way. It ends by itself at its deadline; drop it if the answer is not wanted."""

    __slots__ = ("_poll", "_wait", "asked", "deadline", "due", "item", "outcome", "sent", "seq", "slots", "timeout")

    def __init__(
        self,
        poll: "Callable[[Pending], bool]",
        wait: "Callable[[Pending], None]",
        seq: int,
        item: Encoded,
        timeout: float,
        deadline: float,
    ) -> None:
        """Keep the call. `poll` and `wait` have the client read its sockets, once or until this call has ended."""
        self._poll, self._wait = poll, wait
        self.seq, self.item, self.timeout, self.deadline = seq, item, timeout, deadline
        self.sent = 0.0
        self.due = deadline
        """The time at which it is sent again."""
        self.asked: list[Replica] = []
        """The replicas that it was sent to, in this order."""
        self.slots: set[Replica] = set()
        """The replicas that may still work at it."""
        self.outcome: Message | SurrealError | None = None

    def done(self) -> bool:
        """Return True if the call has ended, so that `result` will not wait."""
        return self.outcome is not None or self._poll(self)

    def result(self) -> Message:
        """Wait for the answer and return it.

        Raises CallError with the server's text if the server failed, and Timeout at the deadline. Raises Refused if no
        replica accepts this process, and Stopping.
        """
        if self.outcome is None:
            self._wait(self)
        if not isinstance(self.outcome, Message):
            assert self.outcome is not None
            raise self.outcome
        return self.outcome


PROBE_AFTER_S = 2.0
"""Time without a word after which a client probes a replica; the probe also keeps the client's name."""
LONG_AGO = float("-inf")


class Replica:
    """The connection to one replica, and what is known about it. Not thread-safe."""

    def __init__(self, node: Node, address: str, window: int, session: int) -> None:
        """Connect in the background."""
        self.socket = PacketSocket(node, address, binds=False, queue=window + CONTROL_SLOTS, immediate=True)
        self._session = session
        self._probe = encode_body(node.name, node.incarnation, meta={"who": node.who}).body
        self._probed = LONG_AGO
        self._name, self._incarnation = "", 0
        self.heard = LONG_AGO
        """Monotonic seconds."""
        self.silent = False
        """It said nothing for as long as a request waits before it asks another replica."""
        self.refused = ""
        """The reason why it will not talk to us, if so."""
        self.blocked = False
        """It did not take the last packet: not connected, or its queue is full."""
        self.open = 0
        """Requests that it may be working at."""

    @property
    def described(self) -> str:
        """`learner/0 at tcp://127.0.0.1:5000`, or the address alone before it has said its name."""
        return f"{self._name} at {self.socket.address}" if self._name else self.socket.address

    def send(self, header: bytes, frames: Sequence[Any], now: float) -> bool:
        """Send without waiting, after a first packet that identifies this process. Return False if it cannot be sent
        now.
        """
        taken = (self._probed != LONG_AGO or self._send_probe(now)) and self.socket.send(header, frames)
        self.blocked = not taken
        return taken

    def knows(self, packet: Packet) -> bool:
        """Note a sign of life. Return False for a packet of another session, or of a server that was replaced."""
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
        """Return True if the connection was lost since the last poll. Probe the server after a long silence."""
        # a socket with IMMEDIATE set can be written to while it is connected only
        lost = self._probed != LONG_AGO and not int(self.socket.zmq_socket.getsockopt(zmq.EVENTS)) & zmq.POLLOUT
        if lost:
            self._probed = LONG_AGO
        if now - max(self._probed, self.heard) >= PROBE_AFTER_S and not self.refused:
            self._send_probe(now)
        return lost

    def close(self) -> None:
        """Disconnect."""
        if not self.socket.closed:
            self.socket.close()

    def _send_probe(self, now: float) -> bool:
        if not self.socket.send(encode_prefix(Kind.PROBE, 0, self._session, 0, 0) + self._probe):
            return False
        self._probed = now
        return True
