"""The sending end of a stream: numbers messages, keeps them until they are acknowledged, waits at its window.

Stream: many senders, one receiver. Every message is handed over exactly once and in its sender's order, over lost
connections and restarts of the receiver. docs/wire.md has the rules; `stream_receiver.py` is the other end.
"""

import logging
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from surreal.protocol.codec import Encoded, Kind, Packet, encode_body, encode_prefix
from surreal.protocol.errors import Refused, Timeout
from surreal.protocol.message import Version
from surreal.protocol.node import Node
from surreal.protocol.port import SLICE, SPARE, TICK, Port
from surreal.protocol.stats import Stats
from surreal.protocol.window import Window

log = logging.getLogger("surreal")

PROBE_AFTER = 2.0
"""Seconds without a word from the receiver after which a sender asks what has arrived."""
FLUSH_ON_CLOSE = 1.0
"""Seconds that closing a sender waits for acknowledgements."""
NEVER = float("-inf")


class StreamSender:
    """The sending end. `send` may be called from several threads; the I/O thread looks after it meanwhile."""

    def __init__(self, node: Node, address: str, window: int, lossy: bool = False) -> None:
        """Connects in the background. `window`: messages that may be unacknowledged before `send` waits (or drops,
        when `lossy`)."""
        self._node, self._lossy = node, lossy
        self._port = Port(node, address, binds=False, queue=window + SPARE, immediate=True)
        self._window: Window[Encoded] = Window(window)
        self._session = secrets.randbits(63)
        self._probe = encode_body(node.name, node.incarnation, meta={"who": node.who}).body
        self._asked = NEVER
        self._receiver = 0  # its incarnation
        self._refused = ""
        self._lock = threading.Lock()
        self._timer = node.loop.every(TICK, self._tick)

    def send(
        self,
        arrays: Mapping[str, np.ndarray],
        meta: Mapping[str, Any] | None = None,
        version: Version = (0, 0),
        timeout: float | None = None,
    ) -> bool:
        """Send one message; it will arrive exactly once as long as this process lives.

        Large arrays are not copied: do not change them until they are acknowledged (a window later, or `flush`).
        While `window` messages are unacknowledged it waits up to `timeout` seconds (None: for ever); a lossy
        stream instead counts a drop and returns False. Raises Stopping, Refused, Timeout, and ValueError for what
        no message can carry.
        """
        item = encode_body(self._node.name, self._node.incarnation, version, meta, arrays)
        with self._lock:
            if self._window.full:
                self._serve()
            self._raise_if_refused()
            if self._window.full and self._lossy:
                self._port.stats.dropped += 1
                return False
            if self._window.full:
                self._wait_for_room(timeout)
            self._window.append(item)
            self._transmit()
            stats = self._port.stats
            stats.messages += 1
            stats.bytes += item.size
        return True

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds, even while stopping, until everything is acknowledged. Raises Refused."""
        deadline = time.monotonic() + timeout
        while True:
            with self._lock:
                self._serve()
                self._raise_if_refused()
                left = deadline - time.monotonic()
                if not self._window.unacked or left <= 0:
                    return not self._window.unacked
                self._port.wait(min(left, SLICE))

    @property
    def stats(self) -> Stats:
        """A copy of the counters; `depth` is the number of unacknowledged messages."""
        return replace(self._port.stats, depth=self._window.unacked)

    def close(self, timeout: float = FLUSH_ON_CLOSE) -> None:
        """Flush for up to `timeout` seconds, say what stays unacknowledged, and disconnect."""
        if self._port.socket.closed:
            return
        self._node.loop.cancel(self._timer)
        try:
            if not self.flush(timeout):
                level = logging.INFO if self._node.stopping.is_set() else logging.WARNING
                log.log(level, "%d messages to %s stay unacknowledged", self._window.unacked, self._port.address)
        except Refused as error:
            log.warning("%d messages were not accepted: %s", self._window.unacked, error)
        self._port.close()

    def _wait_for_room(self, timeout: float | None) -> None:
        """Wait, with the lock, until the window has room."""
        began = time.monotonic()
        try:
            while self._window.full:
                self._node.check()
                waited = time.monotonic() - began
                if timeout is not None and waited >= timeout:
                    raise Timeout(f"no room to send to {self._port.address} within {timeout} s")
                self._port.wait(SLICE if timeout is None else min(SLICE, timeout - waited))
                self._serve()
                self._raise_if_refused()
        finally:
            self._port.stats.blocked_seconds += time.monotonic() - began

    def _tick(self) -> None:
        """The I/O thread's look; whoever has the lock now serves the stream anyway."""
        if self._lock.acquire(blocking=False):
            try:
                self._serve()
            finally:
                self._lock.release()

    def _serve(self) -> None:
        """Take what the receiver said, transmit what is due, ask if it has been silent."""
        while received := self._port.receive():
            self._take(received[1])
        self._transmit()
        if time.monotonic() - self._asked >= PROBE_AFTER and not self._refused:
            self._ask()

    def _ask(self) -> bool:
        """Ask the receiver what has arrived, saying who we are."""
        window = self._window
        prefix = encode_prefix(Kind.PROBE, window.round, self._session, window.cursor, window.base)
        if not self._port.send(prefix + self._probe):
            return False
        self._asked = time.monotonic()
        return True

    def _take(self, packet: Packet) -> None:
        if packet.kind == Kind.REFUSED:
            self._refused = self._refused or str(packet.meta.get("reason", "no reason given"))
        elif packet.session != self._session or packet.incarnation < self._receiver:
            self._port.refuse(b"", "stale", f"{packet.sender} incarnation {packet.incarnation} was replaced")
        else:
            self._asked = time.monotonic()
            self._receiver = packet.incarnation
            lost = packet.kind == Kind.LOST
            if not (self._window.lost(packet.seq, packet.round) if lost else self._window.acknowledge(packet.seq)):
                self._port.refuse(b"", "ack", f"{packet.sender} acknowledged {packet.seq}, which was never sent")

    def _transmit(self) -> None:
        """Hand to the socket what it takes, after a first word about who we are."""
        if self._asked == NEVER and not self._ask():
            return
        window = self._window
        while (item := window.due()) is not None:
            prefix = encode_prefix(Kind.DATA, window.round, self._session, window.cursor, window.base)
            if not self._port.send(prefix + item.body, item.frames):
                return
            self._port.stats.resent += window.transmitted()

    def _raise_if_refused(self) -> None:
        if self._refused:
            raise Refused(f"{self._node.name} cannot send to {self._port.address}: {self._refused}")
