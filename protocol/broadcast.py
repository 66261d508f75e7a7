"""Broadcast: one publisher, many subscribers. A subscriber asks for the first value newer than the one it has and
gets it as soon as there is one, so a slow reader costs nothing, a late one is served at once, and versions never go
back. All of it happens in the I/O threads, whatever the working threads do.
"""

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import zmq

from surreal.protocol.codec import Kind, Packet, encode_body, encode_prefix
from surreal.protocol.errors import Refused, Timeout
from surreal.protocol.message import Message, Version
from surreal.protocol.names import DEAD_AFTER
from surreal.protocol.node import Node
from surreal.protocol.port import SLICE, Port
from surreal.protocol.stats import Stats

ASK_EVERY = 2.0
"""Seconds after which a subscriber repeats its question; it costs nothing if the answer is on its way."""
QUEUE = 8
"""Packets per peer and direction: a question, its repetitions, an answer."""
BATCH = 1000
"""Packets read before the I/O thread looks at other sockets."""

NOTHING: Version = (-1, -1)
"""Older than every version."""


@dataclass
class _Value:
    """What the publisher gives to all subscribers, encoded once."""

    version: Version
    body: bytes
    frames: list[zmq.Frame]
    size: int


@dataclass
class _Reader:
    """The open question of one subscriber's connection."""

    session: int
    number: int
    have: Version
    answered: bool
    heard: float


class Publisher:
    """The writing end: binds."""

    def __init__(self, node: Node, address: str) -> None:
        """Listens at once; readers wait until the first `publish`."""
        self._node = node
        self._port = Port(node, address, binds=True, queue=QUEUE)
        self._value: _Value | None = None
        self._readers: dict[bytes, _Reader] = {}
        node.loop.watch(self._port.socket, self._read)
        self._timer = node.loop.every(DEAD_AFTER, self._forget_silent)

    def publish(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], version: int) -> None:
        """Make this the newest value: (incarnation of this process, `version`).

        Large arrays are not copied: never change them afterwards. Raises ValueError where `version` does not grow
        or no message can carry the arrays.
        """
        full = (self._node.incarnation, version)
        if full <= (self._value.version if self._value else NOTHING):
            raise ValueError(f"version {version} does not grow, {self._value and self._value.version[1]} is published")
        body, arrays_, size = encode_body(self._node.name, self._node.incarnation, full, meta, arrays)
        self._value = _Value(full, body, [zmq.Frame(array, copy=False) for array in arrays_], size)
        self._node.loop.call(self._serve_all)

    @property
    def stats(self) -> Stats:
        """A copy of the counters; `depth` is the number of readers that wait for the next version."""
        waiting = sum(not reader.answered for reader in list(self._readers.values()))
        return replace(self._port.stats, depth=waiting)

    def close(self) -> None:
        """Stop listening."""
        self._node.loop.cancel(self._timer)
        self._node.loop.forget(self._port.socket)
        self._port.close()

    def _read(self) -> None:
        for _ in range(BATCH):
            received = self._port.receive()
            if received is None:
                return
            self._take(*received)

    def _take(self, route: bytes, packet: Packet) -> None:
        """Answer or note a question, unless it is the repetition of one whose answer is on its way."""
        if packet.kind != Kind.GET:
            self._port.refuse(route, "kind", f"{packet.sender} sent kind {packet.kind} to a broadcast")
            return
        have: Version = (packet.version[0], packet.version[1]) if packet.base else NOTHING
        if have[0] > self._node.incarnation:
            reason = f"{packet.sender} has seen a publisher of incarnation {have[0]}, newer than this one"
            self._port.stats.refused += 1
            self._node.complain(f"{self._port.address} fenced", reason)
        reader = self._readers.get(route)
        if reader and reader.number == packet.seq and reader.session == packet.session:
            reader.heard = time.monotonic()
            return
        reader = _Reader(packet.session, packet.seq, have, False, time.monotonic())
        self._readers[route] = reader
        self._serve(route, reader)

    def _serve_all(self) -> None:
        for route, reader in self._readers.items():
            self._serve(route, reader)

    def _serve(self, route: bytes, reader: _Reader) -> None:
        """Send the newest value to a reader that waits for it."""
        value = self._value
        if value is None or reader.answered or value.version <= reader.have:
            return
        prefix = encode_prefix(Kind.VALUE, 0, reader.session, reader.number, 0)
        if self._port.send(prefix + value.body, value.frames, route):
            reader.answered = True
            self._port.stats.messages += 1
            self._port.stats.bytes += value.size

    def _forget_silent(self) -> None:
        now = time.monotonic()
        self._readers = {route: r for route, r in self._readers.items() if now - r.heard < DEAD_AFTER}


class Subscriber:
    """The reading end: keeps the newest value, whatever the working thread does."""

    def __init__(self, node: Node, address: str) -> None:
        """Connects in the background and asks for the newest value."""
        self._node = node
        self._port = Port(node, address, binds=False, queue=QUEUE)
        self._session = secrets.randbits(63)
        self._number = 0
        self._newest: Message | None = None
        self._refused = ""
        self._changed = threading.Condition()
        node.loop.watch(self._port.socket, self._read)
        self._timer = node.loop.every(ASK_EVERY, self._ask)
        node.loop.call(self._ask)

    def latest(self) -> Message | None:
        """The newest value received, or None before the first. Never waits. Raises Refused."""
        with self._changed:
            self._raise_if_refused()
            return self._newest

    def wait(self, newer_than: Version | None = None, timeout: float | None = None) -> Message:
        """The newest value, as soon as its version exceeds `newer_than` (None: any).

        Raises Stopping, Refused, and Timeout after `timeout` seconds (None: never).
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        began = time.monotonic()
        with self._changed:
            try:
                while self._newest is None or (newer_than is not None and self._newest.version <= newer_than):
                    self._node.check()
                    self._raise_if_refused()
                    left = SLICE if deadline is None else deadline - time.monotonic()
                    if left <= 0:
                        raise Timeout(f"nothing newer than {newer_than} from {self._port.address} in {timeout} s")
                    self._changed.wait(min(left, SLICE))
                return self._newest
            finally:
                self._port.stats.blocked_seconds += time.monotonic() - began

    @property
    def stats(self) -> Stats:
        """A copy of the counters."""
        return replace(self._port.stats)

    def close(self) -> None:
        """Disconnect."""
        self._node.loop.cancel(self._timer)
        self._node.loop.forget(self._port.socket)
        self._port.close()

    def _ask(self) -> None:
        """Ask for the first value newer than the newest. A repetition has the same number."""
        newest = self._newest
        version = newest.version if newest else (0, 0)
        body = encode_body(self._node.name, self._node.incarnation, version).body
        self._port.send(encode_prefix(Kind.GET, 0, self._session, self._number, int(newest is not None)) + body)

    def _read(self) -> None:
        for _ in range(BATCH):
            received = self._port.receive()
            if received is None:
                return
            self._take(received[1])

    def _take(self, packet: Packet) -> None:
        """Keep a value that is newer than the newest, and ask for the next."""
        if packet.kind == Kind.REFUSED:
            with self._changed:
                self._refused = str(packet.meta.get("reason", "no reason given"))
                self._changed.notify_all()
            return
        newest = self._newest
        if packet.kind != Kind.VALUE or (newest and packet.version[0] < newest.version[0]):
            self._port.refuse(b"", "epoch", f"{packet.sender} incarnation {packet.incarnation} was replaced")
        elif newest and packet.version <= newest.version:
            self._port.stats.duplicates += 1
        else:
            self._keep(packet)
            self._number = max(self._number, packet.seq) + 1
            self._ask()
            return
        if packet.seq == self._number:  # answered, though worthless: the timer asks anew
            self._number += 1

    def _keep(self, packet: Packet) -> None:
        message = Message(
            packet.sender, packet.incarnation, packet.version[1], packet.version, packet.meta, packet.arrays
        )
        self._port.stats.messages += 1
        self._port.stats.bytes += sum(array.nbytes for array in packet.arrays.values())
        with self._changed:
            self._newest = message
            self._changed.notify_all()

    def _raise_if_refused(self) -> None:
        if self._refused:
            raise Refused(f"{self._node.name} cannot read from {self._port.address}: {self._refused}")
