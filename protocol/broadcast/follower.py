"""The asking side of a broadcast, which a subscriber and a relay share: always one question open, never going back."""

import secrets
from collections.abc import Callable
from dataclasses import replace

from surreal.protocol.broadcast.fan_out import BATCH, QUEUE
from surreal.protocol.errors import Refused
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import Port
from surreal.protocol.transport.stats import Stats
from surreal.protocol.wire.codec import encode_body, encode_prefix
from surreal.protocol.wire.packet import Kind, Packet, Version

ASK_EVERY = 2.0
"""Seconds after which the question is repeated; that costs nothing if the answer is on its way."""


class Follower:
    """Asks for the first value newer than the newest it has. All of it happens in the I/O thread."""

    def __init__(
        self, node: Node, address: str, keep: Callable[[Packet], None], refused: Callable[[], None] = lambda: None
    ) -> None:
        """Connects in the background. Calls `keep` with each newer value, `refused` when there will never be one."""
        self._node, self._keep, self._on_refused = node, keep, refused
        self.port = Port(node, address, binds=False, queue=QUEUE)
        self._session = secrets.randbits(63)
        self._number = 0
        self._newest: Version | None = None
        self._refusal = ""
        node.loop.watch(self.port.socket, self._read)
        self._timer = node.loop.every(ASK_EVERY, self._ask)
        node.loop.call(self._ask)

    @property
    def stats(self) -> Stats:
        """A copy of the counters."""
        return replace(self.port.stats)

    def check(self) -> None:
        """Raise Refused when the other side will not talk to us."""
        if self._refusal:
            raise Refused(f"{self._node.name} cannot read from {self.port.address}: {self._refusal}")

    def close(self) -> None:
        """Disconnect."""
        self._node.loop.cancel(self._timer)
        self._node.loop.forget(self.port.socket)
        self.port.close()

    def _ask(self) -> None:
        """Ask for the first value newer than the newest. A repetition has the same number."""
        body = encode_body(self._node.name, self._node.incarnation, self._newest or (0, 0)).body
        self.port.send(encode_prefix(Kind.GET, 0, self._session, self._number, self._newest is not None) + body)

    def _read(self) -> None:
        for _ in range(BATCH):
            received = self.port.receive()
            if received is None:
                return
            self._take(received[1])

    def _take(self, packet: Packet) -> None:
        """Keep a value that is newer than the newest, and ask for the next."""
        if packet.kind == Kind.REFUSED:
            self._refusal = str(packet.meta.get("reason", "no reason given"))
            self._on_refused()
            return
        newest = self._newest
        if packet.kind != Kind.VALUE or (newest and packet.version[0] < newest[0]):
            self.port.refuse(b"", "epoch", f"{packet.sender} incarnation {packet.incarnation} was replaced")
        elif newest and packet.version <= newest:
            self.port.stats.duplicates += 1
        else:
            self._accept(packet)
            return
        if packet.seq == self._number:  # answered, though worthless: the timer asks anew
            self._number += 1

    def _accept(self, packet: Packet) -> None:
        self._newest = packet.version
        self._number = max(self._number, packet.seq) + 1
        self._ask()  # first: the answer to it can be on its way while this value is put to use
        self.port.stats.messages += 1
        self.port.stats.bytes += packet.size
        self._keep(packet)
