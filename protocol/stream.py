"""Stream: many senders, one receiver. Every message is handed over exactly once and in its sender's order, over
lost connections and restarts of the receiver; a sender that is too far ahead waits. docs/wire.md has the rules.
"""

import logging
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from surreal.protocol.codec import Encoded, Kind, Packet, encode_body, encode_prefix
from surreal.protocol.errors import Refused, Timeout
from surreal.protocol.message import Message, Version
from surreal.protocol.names import Holder, Names
from surreal.protocol.node import Node
from surreal.protocol.port import Port
from surreal.protocol.stats import Stats
from surreal.protocol.window import Window

log = logging.getLogger("surreal")

TICK = 0.2
"""Seconds between two looks of the I/O thread at a stream whose thread is elsewhere."""
SLICE = 0.1
"""Seconds after which a waiting thread looks whether it shall stop."""
PROBE_AFTER = 2.0
"""Seconds without a word from the receiver after which a sender asks what has arrived."""
ACK_DELAY = 0.001
"""Seconds that an idle receiver waits for another message before it acknowledges."""
FLUSH_ON_CLOSE = 1.0
"""Seconds that closing a sender waits for acknowledgements."""
NEVER = float("-inf")
SPARE = 16
"""Packets other than messages that fit in a socket's queue."""


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


@dataclass
class _Progress:
    """How far one session of a sender has come."""

    expected: int
    """Everything before it has been handed to the application."""
    acked: int
    """What the sender was told last."""
    round: int = 0


class StreamReceiver:
    """The receiving end: binds. One thread receives; the I/O thread sends acknowledgements that are due meanwhile."""

    def __init__(self, node: Node, address: str, window: int) -> None:
        """`window` is the senders' window."""
        self._node = node
        self._port = Port(node, address, binds=True, queue=window + SPARE)
        self._ack_every = max(1, window // 4)
        self._body = encode_body(node.name, node.incarnation).body
        self._names = Names()
        self._progress: dict[str, _Progress] = {}
        self._late: set[str] = set()
        """Senders that are to be acknowledged when there is nothing else to do."""
        self._lock = threading.Lock()
        self._timer = node.loop.every(TICK, self._tick)

    def recv(self, timeout: float | None = None) -> Message | None:
        """The next message of any sender, or None after `timeout` seconds (0: do not wait; None: for ever).

        Raises Stopping once this process has been asked to stop.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            while True:
                self._node.check()
                received = self._port.receive()
                if received and (message := self._take(*received)):
                    return message
                left = SLICE if deadline is None else deadline - time.monotonic()
                if received is None:
                    self._idle(max(0.0, min(left, SLICE)))
                if left <= 0:
                    return None

    @property
    def stats(self) -> Stats:
        """A copy of the counters; `depth` is the number of senders that are owed an acknowledgement."""
        return replace(self._port.stats, depth=len(self._late))

    def close(self) -> None:
        """Send the acknowledgements that are due and stop listening."""
        if self._port.socket.closed:
            return
        self._node.loop.cancel(self._timer)
        with self._lock:
            self._acknowledge()
            self._port.close(linger=SLICE)

    def _idle(self, seconds: float) -> None:
        """Wait for a packet; acknowledge if none comes at once, so that a fast sender costs few acknowledgements."""
        if not (self._late and self._port.wait(min(seconds, ACK_DELAY))):
            self._acknowledge()
            self._port.wait(seconds)

    def _tick(self) -> None:
        """The I/O thread's look; a thread in `recv` acknowledges by itself."""
        if self._lock.acquire(blocking=False):
            try:
                self._acknowledge()
            finally:
                self._lock.release()

    def _take(self, route: bytes, packet: Packet) -> Message | None:
        """The message in `packet`, if it is the one that its sender's order asks for."""
        if packet.kind not in (Kind.DATA, Kind.PROBE):
            self._port.refuse(route, "kind", f"{packet.sender} sent kind {packet.kind} to a stream", packet.session)
            return None
        who = packet.meta.get("who") if packet.kind == Kind.PROBE else ""
        admitted = self._names.admit(route, packet, who, time.monotonic())
        if isinstance(admitted, str):
            self._port.refuse(route, packet.sender, admitted, packet.session)
            return None
        holder, new = admitted
        if new:
            self._progress[packet.sender] = _Progress(packet.base, packet.base)
        progress = self._progress[packet.sender]
        progress.round = packet.round
        progress.expected = max(progress.expected, packet.base)  # what an earlier receiver acknowledged won't come
        if packet.kind == Kind.DATA and packet.seq == progress.expected:
            return self._accept(holder, progress, packet)
        self._port.stats.duplicates += packet.kind == Kind.DATA and packet.seq < progress.expected
        self._answer(Kind.LOST if packet.seq > progress.expected else Kind.ACK, holder, progress)
        return None

    def _accept(self, holder: Holder, progress: _Progress, packet: Packet) -> Message:
        progress.expected += 1
        if progress.expected - progress.acked >= self._ack_every:
            self._answer(Kind.ACK, holder, progress)
        else:
            self._late.add(packet.sender)
        stats = self._port.stats
        stats.messages += 1
        stats.bytes += sum(array.nbytes for array in packet.arrays.values())
        return Message(packet.sender, packet.incarnation, packet.seq, packet.version, packet.meta, packet.arrays)

    def _acknowledge(self) -> None:
        """Tell every sender that is owed it how far it has come."""
        for name in list(self._late):
            self._answer(Kind.ACK, self._names.holders[name], self._progress[name])

    def _answer(self, kind: Kind, holder: Holder, progress: _Progress) -> None:
        """Say how far a sender has come. What does not reach it, it asks for."""
        prefix = encode_prefix(kind, progress.round, holder.session, progress.expected, 0)
        self._port.send(prefix + self._body, route=holder.route)
        progress.acked = progress.expected
        self._late.discard(holder.name)
