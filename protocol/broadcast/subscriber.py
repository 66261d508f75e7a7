"""The subscriber's end of a broadcast, and the client half that a subscriber and a relay share."""

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from surreal.protocol.broadcast.publisher import QUEUE_PACKETS
from surreal.protocol.errors import Refused, Timeout
from surreal.protocol.profiling.spans import IDLE, operation
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import READ_BATCH, STOP_POLL_S, PacketSocket
from surreal.protocol.transport.stats import Stats
from surreal.protocol.wire.codec import encode_body, encode_prefix, widen
from surreal.protocol.wire.limits import BFLOAT16
from surreal.protocol.wire.packet import Kind, Message, Packet, Version

ASK_INTERVAL_S = 2.0
"""Seconds after which the question is repeated; that costs nothing if the answer is on its way."""


class BroadcastClient:
    """Asks for the first value newer than the newest it has. All of it happens in the I/O thread."""

    def __init__(
        self, node: Node, address: str, keep: Callable[[Packet], None], refused: Callable[[], None] = lambda: None
    ) -> None:
        """Connect in the background. Call `keep` with each newer value, and `refused` if there will never be one."""
        self._node, self._keep, self._on_refused = node, keep, refused
        self.socket = PacketSocket(node, address, binds=False, queue=QUEUE_PACKETS)
        self._session = secrets.randbits(63)
        self._number = 0
        self._newest: Version | None = None
        self._refusal = ""
        node.loop.watch(self.socket.zmq_socket, self._read)
        self._timer = node.loop.every(ASK_INTERVAL_S, self._ask)
        node.loop.call(self._ask)

    @property
    def stats(self) -> Stats:
        """A copy of the counters."""
        return self.socket.stats.copy()

    def check(self) -> None:
        """Raise Refused when the other side will not talk to us."""
        if self._refusal:
            raise Refused(f"{self._node.name} cannot read from {self.socket.address}: {self._refusal}")

    def close(self) -> None:
        """Disconnect."""
        self._node.loop.cancel(self._timer)
        self._node.loop.forget(self.socket.zmq_socket)
        self.socket.close()

    def _ask(self) -> None:
        """Return ask for the first value newer than the newest. A repetition has the same number."""
        body = encode_body(self._node.name, self._node.incarnation, self._newest or (0, 0)).body
        self.socket.send(encode_prefix(Kind.GET, 0, self._session, self._number, self._newest is not None) + body)

    def _read(self) -> None:
        for _ in range(READ_BATCH):
            received = self.socket.receive()
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
            self.socket.refuse(b"", "epoch", f"{packet.sender} incarnation {packet.incarnation} was replaced")
        elif newest and packet.version <= newest:
            self.socket.stats.duplicates += 1
        else:
            self._accept(packet)
            return
        if packet.seq == self._number:  # answered, though worthless: the timer asks anew
            self._number += 1

    def _accept(self, packet: Packet) -> None:
        self._newest = packet.version
        self._number = max(self._number, packet.seq) + 1
        self._ask()  # first: the answer to it can be on its way while this value is put to use
        self.socket.stats.messages += 1
        self.socket.stats.bytes += packet.size
        self._keep(packet)


class Subscriber:
    """The reading end: keeps the newest value, whatever the working thread does."""

    def __init__(self, node: Node, address: str) -> None:
        """Connect to the publisher or a relay in the background and asks for the newest value."""
        self._node = node
        self._newest: Message | None = None
        self._returned: Version | None = None
        """The version that `latest` or `wait` returned last."""
        self._changed = threading.Condition()
        self._wake_selector: Callable[[], None] | None = None
        self._client = BroadcastClient(node, address, self._keep, self._wake)

    def latest(self) -> Message | None:
        """Return the newest value received, or None before the first. Never waits. Raises Refused."""
        self._client.check()
        newest = self._newest
        return self._return(newest) if newest else None

    def wait(self, newer_than: Version | None = None, timeout: float | None = None) -> Message:
        """Return the newest value as soon as its version exceeds `newer_than` (None: any version).

        Raises Stopping, Refused, and Timeout after `timeout` seconds (None: never).
        """
        last = time.monotonic()
        deadline = None if timeout is None else last + timeout
        with self._changed:
            while self._newest is None or (newer_than is not None and self._newest.version <= newer_than):
                self._node.check()
                self._client.check()
                left = STOP_POLL_S if deadline is None else deadline - last
                if left <= 0:
                    address = self._client.socket.address
                    raise Timeout(f"{address}: nothing newer than {newer_than} in {timeout} s. Look at its writer.")
                with operation("wait", IDLE):
                    self._changed.wait(min(left, STOP_POLL_S))
                now = time.monotonic()
                # Counted in each round, so that a long wait shows while it lasts.
                self._client.socket.stats.blocked_seconds += now - last
                last = now
            return self._return(self._newest)

    select_lock: ClassVar[AbstractContextManager[None]] = nullcontext()
    select_socket: ClassVar[None] = None

    def has_message(self) -> bool:
        """Return True if the newest value was not returned yet. Raises Refused. For Selector."""
        self._client.check()
        newest = self._newest
        return newest is not None and newest.version != self._returned

    def wake_on_message(self, wake: Callable[[], None]) -> None:
        """Have `wake` called by the I/O thread with each new value. For Selector."""
        self._wake_selector = wake

    @property
    def stats(self) -> Stats:
        """A copy of the counters."""
        return self._client.stats

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    def _keep(self, packet: Packet) -> None:
        arrays = {name: widen(array) if array.dtype == BFLOAT16 else array for name, array in packet.arrays.items()}
        message = Message(packet.sender, packet.incarnation, packet.version[1], packet.version, packet.meta, arrays)
        self._newest = message
        self._wake()

    def _return(self, message: Message) -> Message:
        self._returned = message.version
        return message

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
        if self._wake_selector:
            self._wake_selector()
