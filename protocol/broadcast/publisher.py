"""The publisher's end of a broadcast, and the server half of publishers and relays.

A subscriber asks for the first value newer than its own and gets it as soon as there is one. So a slow reader costs
nothing, a late one is served at once, and versions never go back.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import zmq

from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import READ_BATCH, PacketSocket
from surreal.protocol.transport.sessions import DEAD_AFTER_S
from surreal.protocol.transport.stats import Stats
from surreal.protocol.wire.codec import encode_body, encode_prefix, narrow
from surreal.protocol.wire.limits import MAX_HEADER_BYTES
from surreal.protocol.wire.packet import Kind, Packet, Version

QUEUE_PACKETS = 8
"""Packets per peer and direction: a question, its repetitions, an answer."""
POLL_INTERVAL_S = 0.005
"""Seconds between two looks of the I/O thread for questions; the next `offer` looks for itself."""
NO_VERSION: Version = (-1, -1)
"""Older than every version."""


class Value(NamedTuple):
    """A value as all readers get it: encoded once, its frames shared by all answers."""

    version: Version
    body: bytes
    """The header without its prefix."""
    frames: Sequence[zmq.Frame]
    size: int
    """Bytes of its arrays."""


def encode(
    sender: str, incarnation: int, version: Version, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> Value:
    """Return a value as it travels, with the memory of large arrays uncopied. Raises ValueError for data that no
    message can carry.
    """
    body, frames, size = encode_body(sender, incarnation, version, meta, arrays)
    return Value(version, body, [zmq.Frame(frame, copy=False) for frame in frames], size)


@dataclass(slots=True)
class _Reader:
    """The last question of one connection."""

    session: int
    number: int
    have: Version
    heard: float
    """Monotonic seconds."""
    answered: bool = False


class BroadcastServer:
    """Server half of a broadcast: answers each question of a reader once, with something newer. Binds.

    The thread that offers a new value sends it to the waiting readers itself. The I/O thread would first have to get
    the interpreter, which a computing thread gives up after 5 ms. The I/O thread answers readers that ask later, so
    that they need not wait for the next value. A lock admits one of the two to the socket. The I/O thread watches the
    socket's descriptor, which is only a sign to look.
    """

    def __init__(self, node: Node, address: str) -> None:
        """Listen at once; readers wait until the first `offer`."""
        self._node = node
        self._socket = PacketSocket(node, address, binds=True, queue=QUEUE_PACKETS, largest=MAX_HEADER_BYTES)
        self._value: Value | None = None
        self._readers: dict[bytes, _Reader] = {}
        self._waiting: dict[bytes, _Reader] = {}
        self._lock = threading.Lock()
        self._readable_fd = int(self._socket.zmq_socket.getsockopt(zmq.FD))
        self._timers = [node.loop.every(DEAD_AFTER_S, self._forget_silent)]
        self._paused = False
        node.loop.call(self._poll)  # a question that came before anyone watches gives no sign

    @property
    def version(self) -> Version:
        """The newest version that was offered."""
        return self._value.version if self._value else NO_VERSION

    @property
    def stats(self) -> Stats:
        """A copy of the counters; `depth` is the number of readers that wait for the next version."""
        return self._socket.stats.copy(depth=len(self._waiting))

    def offer(self, value: Value) -> None:
        """Make this the newest value and send it to all waiting readers."""
        with self._lock:
            self._value = value
            for route, reader in list(self._waiting.items()):
                self._serve(route, reader)
            done = self._read()  # the questions that came since the last look, each answered with this value
        if not done:
            self._node.loop.call(self._poll)

    def close(self) -> None:
        """Stop listening."""
        self._node.loop.run(self._end)

    def _end(self) -> None:
        with self._lock:
            self._socket.close()
        for timer in self._timers:
            self._node.loop.cancel(timer)
        self._node.loop.forget(self._readable_fd)

    def _poll(self) -> None:
        """Read questions in the I/O thread. Pause before the next poll: questions come one by one."""
        with self._lock:
            if self._socket.closed:
                return
            done = self._read()
        if not done:
            self._node.loop.call(self._poll)
        elif not self._paused:
            self._paused = True
            self._node.loop.forget(self._readable_fd)
            self._timers.append(self._node.loop.every(POLL_INTERVAL_S, self._resume))

    def _resume(self) -> None:
        """Watch for the next question after a pause."""
        self._paused = False
        self._node.loop.cancel(self._timers.pop())
        self._node.loop.watch(self._readable_fd, self._poll)

    def _read(self) -> bool:
        """Take the questions that are there; whether there are no more. ZMQ_FD shows nothing before."""
        for _ in range(READ_BATCH):
            received = self._socket.receive()
            if received is None:
                return True
            self._take(*received)
        return False

    def _take(self, route: bytes, packet: Packet) -> None:
        """Answer or note a question. A repetition of an answered question only shows that its reader lives."""
        if packet.kind != Kind.GET:
            self._socket.refuse(route, "kind", f"{packet.sender} sent kind {packet.kind} to a broadcast")
            return
        reader = self._readers.get(route)
        if not (reader and reader.number == packet.seq and reader.session == packet.session):
            have = packet.version if packet.base else NO_VERSION
            self._fence(packet, have)
            reader = _Reader(packet.session, packet.seq, have, 0.0)
            self._readers[route] = reader
        reader.heard = time.monotonic()
        if not reader.answered:
            self._waiting[route] = reader
            self._serve(route, reader)

    def _fence(self, packet: Packet, have: Version) -> None:
        """Say it where a reader has heard of a later publisher: this one was replaced, and its values are worthless."""
        if self._value and have[0] > self._value.version[0]:
            self._socket.stats.refused += 1
            reason = f"{packet.sender} has a value of incarnation {have[0]}, this is {self._value.version[0]}"
            self._node.warn(f"{self._socket.address} fenced", f"replaced at {self._socket.address}: {reason}")

    def _serve(self, route: bytes, reader: _Reader) -> None:
        """Send the newest value to a reader that waits for it."""
        value = self._value
        if value is None or value.version <= reader.have:
            return
        prefix = encode_prefix(Kind.VALUE, 0, reader.session, reader.number, 0)
        if self._socket.send(prefix + value.body, value.frames, route):
            reader.answered = True
            del self._waiting[route]
            self._socket.stats.messages += 1
            self._socket.stats.bytes += value.size

    def _forget_silent(self) -> None:
        oldest = time.monotonic() - DEAD_AFTER_S
        with self._lock:
            for route in [route for route, reader in self._readers.items() if reader.heard < oldest]:
                del self._readers[route]
                self._waiting.pop(route, None)


class Publisher:
    """The writing end: binds. Readers and relays that come later are served while the working thread computes."""

    def __init__(self, node: Node, address: str, dtype: str = "") -> None:
        """Listen at once; readers wait until the first `publish`. `dtype`: `bfloat16` where float32 arrays are to
        travel at half the size, rounded; they arrive as float32.
        """
        self._node = node
        self._narrow = dtype == "bfloat16"
        self._server = BroadcastServer(node, address)

    def publish(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], version: int) -> None:
        """Make this the newest value: (incarnation of this process, `version`).

        Large arrays are not copied: never change them afterwards. Raises ValueError where `version` does not grow
        or no message can carry the arrays.
        """
        full, newest = (self._node.incarnation, version), self._server.version
        if full <= newest:
            raise ValueError(f"version {version} does not grow, {newest[1]} is published")
        if self._narrow:
            arrays = {name: narrow(array) if array.dtype == np.float32 else array for name, array in arrays.items()}
        self._server.offer(encode(self._node.name, self._node.incarnation, full, meta, arrays))

    @property
    def stats(self) -> Stats:
        """A copy of the counters; `depth` is the number of readers that wait for the next version."""
        return self._server.stats

    def close(self) -> None:
        """Stop listening."""
        self._server.close()
