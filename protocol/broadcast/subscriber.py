"""Broadcast: one publisher, many subscribers, perhaps relays in between. A subscriber asks for the first value newer
than the one it has and gets it as soon as there is one, so a slow reader costs nothing, a late one is served at once,
and versions never go back.
"""

import threading
import time

from surreal.protocol.broadcast.follower import Follower
from surreal.protocol.errors import Timeout
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import SLICE
from surreal.protocol.transport.stats import Stats
from surreal.protocol.wire.codec import widen
from surreal.protocol.wire.limits import BFLOAT16
from surreal.protocol.wire.packet import Message, Packet, Version


class Subscriber:
    """The reading end: keeps the newest value, whatever the working thread does."""

    def __init__(self, node: Node, address: str) -> None:
        """Connects to the publisher or a relay in the background and asks for the newest value."""
        self._node = node
        self._newest: Message | None = None
        self._changed = threading.Condition()
        self._follower = Follower(node, address, self._keep, self._wake)

    def latest(self) -> Message | None:
        """The newest value received, or None before the first. Never waits. Raises Refused."""
        self._follower.check()
        return self._newest

    def wait(self, newer_than: Version | None = None, timeout: float | None = None) -> Message:
        """The newest value, as soon as its version exceeds `newer_than` (None: any).

        Raises Stopping, Refused, and Timeout after `timeout` seconds (None: never).
        """
        began = time.monotonic()
        deadline = None if timeout is None else began + timeout
        with self._changed:
            try:
                while self._newest is None or (newer_than is not None and self._newest.version <= newer_than):
                    self._node.check()
                    self._follower.check()
                    left = SLICE if deadline is None else deadline - time.monotonic()
                    if left <= 0:
                        address = self._follower.port.address
                        raise Timeout(f"nothing newer than {newer_than} from {address} in {timeout} s")
                    self._changed.wait(min(left, SLICE))
                return self._newest
            finally:
                self._follower.port.stats.blocked_seconds += time.monotonic() - began

    @property
    def stats(self) -> Stats:
        """A copy of the counters."""
        return self._follower.stats

    def close(self) -> None:
        """Disconnect."""
        self._follower.close()

    def _keep(self, packet: Packet) -> None:
        arrays = {name: widen(array) if array.dtype == BFLOAT16 else array for name, array in packet.arrays.items()}
        message = Message(packet.sender, packet.incarnation, packet.version[1], packet.version, packet.meta, arrays)
        with self._changed:
            self._newest = message
            self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
