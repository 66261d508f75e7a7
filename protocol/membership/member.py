"""The member's end of the control port: says that this process lives, and hears the stop.

Members send a beat each second from their I/O threads; with thousands of members, as often as the server says. So a
busy working thread is never taken for a dead process.
"""

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from surreal.protocol.membership.server import BEAT_INTERVAL_S, LINGER_S, MAX_REASON, REPORT_BEATS, Still, log
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import PacketSocket
from surreal.protocol.transport.sessions import DEAD_AFTER_S
from surreal.protocol.wire.codec import encode_body, encode_prefix
from surreal.protocol.wire.packet import Kind, Packet

QUEUE_PACKETS = 4
"""Beats that wait for a connection; older ones say nothing new."""
JOIN_S = 3.0
"""Seconds that a process which failed at once waits for contact, to tell why."""
WARN_AGAIN_AFTER_S = 60.0
"""Seconds after which a member that still has no contact says so again."""


class Member:
    """The end that connects: says each second that this process lives, and stops it on request."""

    def __init__(
        self,
        node: Node,
        address: str,
        report: Callable[[], Any] = lambda: None,
        still: Callable[[], Still | None] = lambda: None,
        session: int = 0,
        heard: Callable[[Mapping[str, Any]], None] = lambda said: None,
    ) -> None:
        """Connect in the background. `report()` returns the counters of this process, plain data, or None.

        `still()` returns since when and where its work does not move; None while it does. `session` is a number of this
        process; a random one for 0. `heard` gets the words of every answer.
        """
        self._node, self._report, self._heard = node, report, heard
        self._socket = PacketSocket(node, address, binds=False, queue=QUEUE_PACKETS, heartbeats=True)
        self._session = session or secrets.randbits(63)
        self._still = still
        self.joined = threading.Event()
        """Set once the server has answered."""
        self._server = "the control port"
        self._incarnation = 0
        self._every = BEAT_INTERVAL_S
        self._unanswered = 0
        self._beats = 0
        self._answered = self._warned = time.monotonic()
        self._lost = False
        self.refused = ""
        """The reason why this process may not be a member, if so."""
        node.loop.watch(self._socket.zmq_socket, self._read)
        self._timer = node.loop.every(BEAT_INTERVAL_S, self._beat)
        node.loop.call(self._send)

    def close(self, fatal: str = "", crashed: str = "") -> None:
        """Say goodbye, and why where this process can never succeed or has crashed, and disconnect.

        Such a process may have failed before it had contact; then it waits for that first.
        """
        if (fatal or crashed) and not self.refused:
            self.joined.wait(JOIN_S)
        self._node.loop.cancel(self._timer)
        self._node.loop.forget(self._socket.zmq_socket)
        self._send(counters=self._report())
        self._send(Kind.LEAVE, fatal=fatal[:MAX_REASON], crashed=crashed[:MAX_REASON])
        self._socket.close(LINGER_S if self._incarnation and self._socket.connected else 0)

    def _beat(self) -> None:
        """Send a beat, and warn once the server was silent for many of them.

        Silence is counted in beats, not in time: a process that slept has not listened either. A server that is
        silent but connected is busy.
        """
        self._unanswered += 1
        now = time.monotonic()
        silent = self._unanswered * self._every >= DEAD_AFTER_S - BEAT_INTERVAL_S and not self._socket.connected
        if silent and not (self._lost and now - self._warned < WARN_AGAIN_AFTER_S):
            self._lost, self._warned = True, now
            where = "" if self._incarnation else f" at {self._socket.address}, which may not have started yet; waiting"
            log.warning("no contact with %s for %.0f s%s", self._server, now - self._answered, where)
        self._beats += 1
        self._send(counters=None if self._beats % REPORT_BEATS else self._report())

    def tell(self, aside: Mapping[str, Any]) -> None:
        """Send a beat with further words. Call it from the I/O thread."""
        self._send(aside=aside)

    def _send(
        self, kind: Kind = Kind.BEAT, counters: Any = None, aside: Mapping[str, Any] | None = None, **why: str
    ) -> None:
        meta: dict[str, Any] = {"who": self._node.who, "stopping": self._node.stopping.is_set()}
        if counters is not None:
            meta["counters"] = counters
        if still := self._still():
            meta["still"] = list(still)
        meta |= aside or {}
        meta |= {key: text for key, text in why.items() if text}
        body = encode_body(self._node.name, self._node.incarnation, meta=meta).body
        self._socket.send(encode_prefix(kind, 0, self._session, 0, 0) + body)

    def _read(self) -> None:
        while received := self._socket.receive():
            self._take(received[1])

    def _take(self, packet: Packet) -> None:
        if packet.kind == Kind.REFUSED:
            self.refused = str(packet.meta.get("reason", "no reason given"))
            self._node.stop(self.refused)
        elif packet.kind == Kind.STATE and packet.incarnation >= self._incarnation:
            self._note_contact(packet)
            self._heard(packet.meta)
            if packet.meta.get("stop") and not self._node.stopping.is_set():
                self._node.stop(str(packet.meta.get("reason", "")))
                self._send()
        else:
            self._socket.refuse(b"", "stale", f"{packet.sender} incarnation {packet.incarnation} was replaced")

    def _note_contact(self, packet: Packet) -> None:
        if self._lost:
            log.info("contact with %s restored after %.0f s", packet.sender, time.monotonic() - self._answered)
        elif self._incarnation and packet.incarnation > self._incarnation:
            log.info("%s was replaced by its incarnation %d", packet.sender, packet.incarnation)
        self._server, self._incarnation = packet.sender, packet.incarnation
        self.joined.set()
        self._unanswered, self._answered, self._lost = 0, time.monotonic(), False
        wanted = packet.meta.get("every")
        if isinstance(wanted, float):
            self._every = self._timer.seconds = min(max(BEAT_INTERVAL_S, wanted), DEAD_AFTER_S / 3)
