"""The sending end of a stream: numbers messages, keeps them until they are acknowledged, waits at its window.

Stream: many senders, one receiver. Each message is handed over once in a life of the receiver and in its sender's
order. After a restart the receiver gets the messages that it had not acknowledged. docs/wire.md has the rules;
`receiver.py` is the other end.
"""

import logging
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from surreal.protocol.errors import Refused, Timeout
from surreal.protocol.profiling.spans import ACTIVE, COMMUNICATION, operation
from surreal.protocol.stream.window import Window
from surreal.protocol.transport.io_loop import Timer
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import CONTROL_SLOTS, IO_INTERVAL_S, STOP_POLL_S, PacketSocket
from surreal.protocol.transport.stats import Stats
from surreal.protocol.wire.batches import LENGTH, encode_batch
from surreal.protocol.wire.codec import encode_body, encode_prefix
from surreal.protocol.wire.limits import check_finite
from surreal.protocol.wire.packet import Encoded, Kind, Packet, Version

log = logging.getLogger("surreal")

PROBE_AFTER_S = 2.0
"""Seconds without a word from the receiver after which a sender asks what has arrived."""
FLUSH_ON_CLOSE_S = 1.0
"""Seconds that closing a sender waits for acknowledgements."""
LONG_AGO = float("-inf")
BATCH_DELAY_S = 0.001
"""Seconds within which small messages wait for each other."""
SMALL_BYTES = 24 * 1024
"""Bytes of a message that may wait."""
BATCH_BYTES = 60 * 1024
"""Bytes of small messages that make up a packet."""


class StreamSender:
    """The sending end. `send` may be called from several threads; the I/O thread looks after it meanwhile."""

    def __init__(self, node: Node, address: str, window: int, lossy: bool = False, finite: bool = False) -> None:
        """Connect in the background.

        `window`: messages that may be unacknowledged before `send` waits (or drops, if `lossy`). `finite`: refuse
        arrays with NaN or infinity.
        """
        self._node, self._lossy, self._finite = node, lossy, finite
        self._socket = PacketSocket(node, address, binds=False, queue=window + CONTROL_SLOTS, immediate=True)
        self._window: Window[Encoded] = Window(window)
        self._session = secrets.randbits(63)
        self._probe = encode_body(node.name, node.incarnation, meta={"who": node.who}).body
        self._probed = self._transmitted = LONG_AGO
        self._batch_size = max(1, window // 4)  # messages in a packet; a receiver acknowledges as many at once
        self._batched_bytes = 0  # bytes of small messages that wait for company
        self._batch_timer: Timer | None = None
        self._receiver = 0  # its incarnation
        self._refused = ""
        self._lock = threading.Lock()
        self._timer = node.loop.every(IO_INTERVAL_S, self._tick)

    def send(
        self,
        arrays: Mapping[str, np.ndarray],
        meta: Mapping[str, Any] | None = None,
        version: Version = (0, 0),
        timeout: float | None = None,
    ) -> bool:
        """Send one message. While this process lives, it arrives once in each life of the receiver that needs it.

        Large arrays are not copied: do not change them until they are acknowledged (a window later, or `flush`).
        While `window` messages (or 32 MiB) are unacknowledged it waits up to `timeout` seconds (None: for ever); lossy
        it instead counts a drop and returns False. Small messages that follow each other within a millisecond
        travel together. Raises Stopping, Refused, Timeout, and ValueError for what no message can carry.
        """
        if self._finite:
            check_finite(arrays)
        node = self._node
        # Asked first: an operation costs as much as a tenth of a small message.
        if ACTIVE.recorder:
            with operation("serialise", COMMUNICATION):
                item = encode_body(node.name, node.incarnation, version, meta, arrays)
        else:
            item = encode_body(node.name, node.incarnation, version, meta, arrays)
        body, frames, size = item
        window, stats = self._window, self._socket.stats
        with self._lock:
            if (window.full or self._refused) and not self._make_room(timeout):
                return False
            window.append(item, len(body) + sum([frame.nbytes for frame in frames]))
            if frames or len(body) > SMALL_BYTES or self._is_due(len(body)):
                self._transmit()
            elif self._batch_timer is None:
                self._batch_timer = Timer(BATCH_DELAY_S, self._transmit_batch)
                self._node.loop.start(self._batch_timer)
            stats.messages += 1
            stats.bytes += size
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
                self._socket.wait(min(left, STOP_POLL_S))

    def has_room(self, timeout: float) -> bool:
        """Return True if `send` would not wait now, or after `timeout` seconds at most. Raises Refused."""
        with self._lock:
            if self._window.full or self._refused:
                self._serve()
                self._raise_if_refused()
            if self._window.full and timeout:
                self._socket.wait(timeout)
                self._serve()
            return not self._window.full

    @property
    def unacked(self) -> int:
        """The number of messages that are not acknowledged, as far as is known now."""
        return self._window.unacked

    @property
    def acknowledged(self) -> int:
        """The number of messages that were handed to the receiver's application, as far as is known."""
        return self._window.base

    @property
    def stats(self) -> Stats:
        """A copy of the counters; `depth` is the number of unacknowledged messages."""
        return self._socket.stats.copy(depth=self._window.unacked)

    def close(self, timeout: float = FLUSH_ON_CLOSE_S) -> None:
        """Flush for up to `timeout` seconds, say what stays unacknowledged, and disconnect."""
        if self._socket.closed:
            return
        self._node.loop.cancel(self._timer)
        try:
            if not self.flush(timeout):
                level = logging.INFO if self._node.stopping.is_set() else logging.WARNING
                log.log(level, "%d messages to %s stay unacknowledged", self._window.unacked, self._socket.address)
        except Refused as error:
            log.warning("%d messages were not accepted: %s", self._window.unacked, error)
        if self._batch_timer:
            self._node.loop.cancel(self._batch_timer)
        self._socket.close()

    def _make_room(self, timeout: float | None) -> bool:
        """Wait, with the lock, until the window has room; False where a lossy stream drops instead."""
        if self._lossy:
            self._serve()
        self._raise_if_refused()
        if self._window.full and self._lossy:
            self._socket.stats.dropped += 1
            return False
        began = last = time.monotonic()
        while self._window.full:
            self._node.check()
            left = STOP_POLL_S if timeout is None else timeout - (last - began)
            if received := self._socket.receive(min(STOP_POLL_S, left)):
                self._take(received[1])
            elif left <= 0:
                raise Timeout(f"{self._socket.address}: no room to send within {timeout} s. Look at its receiver.")
            self._transmit()
            self._raise_if_refused()
            now = time.monotonic()
            self._probe_if_silent(now)
            # counted in each round, so that a long wait shows while it lasts
            self._socket.stats.blocked_seconds += now - last
            last = now
        return True

    def _tick(self) -> None:
        """Serve the stream in the I/O thread, unless a thread has the lock and serves it itself."""
        if self._lock.acquire(blocking=False):
            try:
                self._serve()
            finally:
                self._lock.release()

    def _serve(self) -> None:
        """Take what the receiver said, transmit what is due, ask if it has been silent."""
        while received := self._socket.receive():
            self._take(received[1])
        self._transmit()
        self._probe_if_silent(time.monotonic())

    def _probe_if_silent(self, now: float) -> None:
        if now - self._probed >= PROBE_AFTER_S and not self._refused:
            self._send_probe()

    def _send_probe(self) -> bool:
        """Ask the receiver for its progress, and identify this process."""
        window = self._window
        prefix = encode_prefix(Kind.PROBE, window.round, self._session, window.cursor, window.base)
        if not self._socket.send(prefix + self._probe):
            return False
        self._probed = time.monotonic()
        return True

    def _take(self, packet: Packet) -> None:
        if packet.kind == Kind.REFUSED:
            self._refused = self._refused or str(packet.meta.get("reason", "no reason given"))
        elif packet.session != self._session or packet.incarnation < self._receiver:
            self._socket.refuse(b"", "stale", f"{packet.sender} incarnation {packet.incarnation} was replaced")
        else:
            self._probed = time.monotonic()
            self._receiver = packet.incarnation
            lost = packet.kind == Kind.LOST
            if not (self._window.lost(packet.seq, packet.round) if lost else self._window.acknowledge(packet.seq)):
                self._socket.refuse(b"", "ack", f"{packet.sender} acknowledged {packet.seq}, which was never sent")

    def _is_due(self, nbytes: int) -> bool:
        """Return True if small messages are to be transmitted now, rather than together with those that follow.

        A packet costs about as much as 16 KiB of payload, so small messages wait for others: only after a transmission
        a moment ago (a lone message is never late), and only until the window is full or a batch is, for which the last
        message with its `nbytes` is the measure. The I/O thread sends the rest a millisecond later.
        """
        window = self._window
        self._batched_bytes += nbytes + LENGTH.size
        return (
            self._batched_bytes + nbytes > BATCH_BYTES
            or window.next - window.cursor >= self._batch_size
            or time.monotonic() - self._transmitted > BATCH_DELAY_S
            or window.full
        )

    def _transmit_batch(self) -> None:
        """Transmit in the I/O thread what has waited for a millisecond. Called each millisecond while messages wait.

        A thread that has the lock transmits by itself, or is done before the next call.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._batched_bytes and time.monotonic() - self._transmitted < BATCH_DELAY_S:
                return
            # what the socket does not take now is left to the slower _tick
            idle = not self._batched_bytes or not self._transmit()
            if idle and self._batch_timer:
                self._node.loop.cancel(self._batch_timer)
                self._batch_timer = None
        finally:
            self._lock.release()

    def _transmit(self) -> bool:
        """Hand due messages to the socket, after a packet that identifies this process. False if some are left."""
        if self._socket.closed or (self._probed == LONG_AGO and not self._send_probe()):
            return False
        window = self._window
        while batch := self._next_batch():
            numbers = (window.round, self._session, window.cursor, window.base)
            if len(batch) == 1:
                header = encode_prefix(Kind.DATA, *numbers) + batch[0].body
            else:
                header = encode_batch(*numbers, [item.body for item in batch])
            if not self._socket.send(header, batch[0].frames):
                return False
            self._socket.stats.resent += window.transmitted(len(batch))
            self._transmitted = time.monotonic()
        self._batched_bytes = 0
        return True

    def _next_batch(self) -> list[Encoded]:
        """Return the next messages that are due and fit into one packet: one with frames of its own, or several
        without.
        """
        batch: list[Encoded] = []
        size = 0
        for item in self._window.due():
            size += len(item.body) + LENGTH.size
            if batch and (item.frames or size > BATCH_BYTES or len(batch) >= self._batch_size):
                break
            batch.append(item)
            if item.frames:
                break
        return batch

    def _raise_if_refused(self) -> None:
        if self._refused:
            raise Refused(f"{self._node.name} cannot send to {self._socket.address}: {self._refused}")
