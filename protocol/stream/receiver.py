"""The receiving end of a stream: hands over messages in their senders' order, and acknowledges them.

docs/wire.md has the rules; `sender.py` is the other end.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import zmq

from surreal.protocol.stream.window import WINDOW_BYTES
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import CONTROL_SLOTS, IO_INTERVAL_S, READ_BATCH, STOP_POLL_S, PacketSocket
from surreal.protocol.transport.sessions import Holder, SessionTable
from surreal.protocol.transport.stats import Stats
from surreal.protocol.wire.codec import encode_body, encode_prefix
from surreal.protocol.wire.limits import NotFiniteError, check_finite
from surreal.protocol.wire.packet import Kind, Message, Packet

# Looking up a member of an enum takes longer than comparing ints.
_DATA, _PROBE, _BATCH = int(Kind.DATA), int(Kind.PROBE), int(Kind.BATCH)
ACK_DELAY_S = 0.001
"""Seconds that an idle receiver waits for another message before it acknowledges."""


@dataclass(slots=True)
class _Progress:
    """The progress of one session of a sender."""

    expected: int
    """Everything before it has been handed to the application."""
    acked: int
    """The number that the sender was told last."""
    round: int = 0
    owed: int = 0
    """Bytes received since then."""


class StreamReceiver:
    """The receiving end: binds. One thread receives; the I/O thread sends acknowledgements that are due meanwhile."""

    def __init__(self, node: Node, address: str, window: int, finite: bool = False) -> None:
        """Listen. `window` is the senders' window. `finite`: refuse messages with NaN or infinity in them."""
        self._node = node
        self._socket = PacketSocket(node, address, binds=True, queue=window + CONTROL_SLOTS)
        self._finite = finite
        self._ack_every = max(1, window // 4)
        self._body = encode_body(node.name, node.incarnation).body
        self._names = SessionTable()
        self._progress: dict[str, _Progress] = {}
        self._batch: deque[Message] = deque()
        """Messages that came together and are still to be handed over."""
        self._current: tuple[Holder, _Progress] | None = None
        """Their sender."""
        self._bytes = 0
        """Bytes of the arrays of a packet that are handed over; counted with the last message of it."""
        self._late: set[str] = set()
        """Senders that are to be acknowledged when there is nothing else to do."""
        self._lock = threading.Lock()
        self._timer = node.loop.every(IO_INTERVAL_S, self._tick)

    def recv(self, timeout: float | None = None) -> Message | None:
        """Return the next message of any sender, or None after `timeout` seconds (0: do not wait; None: for ever).

        With 0 it returns a message if one has arrived. Raises Stopping once this process has been asked to stop.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            while True:
                self._node.check()
                while self._batch:
                    if message := self._hand_over():
                        return message
                left = STOP_POLL_S if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    return self._read()
                if message := self._wait(min(left, STOP_POLL_S)):
                    return message

    @property
    def select_lock(self) -> threading.Lock:
        """The lock that Selector holds while it polls the socket."""
        return self._lock

    @property
    def select_socket(self) -> "zmq.Socket[bytes]":
        """The socket that Selector polls."""
        return self._socket.zmq_socket

    def has_message(self) -> bool:
        """Return True if a message has arrived; rarely it is one that was received before. For Selector."""
        for _ in range(READ_BATCH):
            if self._batch:
                return True
            received = self._socket.receive()
            if received is None:
                break
            if received[1].kind in (_DATA, _BATCH):
                self._socket.put_back(*received)
                return True
            self._take(*received)
        self._acknowledge()
        return False

    def wake_on_message(self, wake: Callable[[], None]) -> None:
        """Return at once: Selector polls the socket itself."""

    @property
    def stats(self) -> Stats:
        """A copy of the counters; `depth` is the number of senders that are owed an acknowledgement."""
        return self._socket.stats.copy(depth=len(self._late))

    def close(self) -> None:
        """Send the acknowledgements that are due and stop listening."""
        if self._socket.closed:
            return
        self._node.loop.cancel(self._timer)
        with self._lock:
            self._acknowledge()
            self._socket.close(linger=STOP_POLL_S)

    def _read(self) -> Message | None:
        """Return the next message that has arrived, past probes and repetitions; None if there is none.

        Stops after READ_BATCH packets without a message: senders that only probe must not hold up the caller.
        """
        for _ in range(READ_BATCH):
            if self._batch:
                message = self._hand_over()
            elif (received := self._socket.receive()) is not None:
                message = self._take(*received)
            else:
                break
            if message:
                return message
        self._acknowledge()
        return None

    def _wait(self, seconds: float) -> Message | None:
        """Wait for a packet and return the message in it.

        Acknowledge if none comes at once, so that a fast sender costs few acknowledgements.
        """
        received = self._socket.receive(min(seconds, ACK_DELAY_S)) if self._late else None
        if received is None:
            self._acknowledge()
            received = self._socket.receive(seconds)
        return self._take(*received) if received else None

    def _tick(self) -> None:
        """Acknowledge in the I/O thread; a thread in `recv` acknowledges by itself."""
        if self._lock.acquire(blocking=False):
            try:
                self._acknowledge()
            finally:
                self._lock.release()

    def _take(self, route: bytes, packet: Packet) -> Message | None:
        """Return the first message in `packet` that is the next one in its sender's order, else None."""
        kind, round, session, seq, base, sender, incarnation = packet[:7]
        holder = self._names.holders.get(sender)
        if kind in (_DATA, _BATCH) and holder and holder.session == session and holder.incarnation == incarnation:
            progress = self._progress[sender]
            if base <= progress.expected == seq:
                # Nearly all packets: the next one of a sender that is known. What follows says the same at length.
                holder.route, progress.round = route, round
                return self._accept(holder, progress, packet)
        return self._take_other(route, packet)

    def _take_other(self, route: bytes, packet: Packet) -> Message | None:
        """Return the first message in `packet`, whose sender may be new or in disorder, if it is the next one."""
        if packet.kind not in (_DATA, _BATCH, _PROBE):
            self._socket.refuse(route, "kind", f"{packet.sender} sent kind {packet.kind} to a stream", packet.session)
            return None
        who = packet.meta.get("who") if packet.kind == _PROBE else ""
        admitted = self._names.admit(route, packet, who, time.monotonic())
        if isinstance(admitted, str):
            self._socket.refuse(route, packet.sender, admitted, packet.session)
            return None
        holder, new = admitted
        if new:
            self._progress[packet.sender] = _Progress(packet.base, packet.base)
        progress = self._progress[packet.sender]
        progress.round = packet.round
        progress.expected = max(progress.expected, packet.base)  # what an earlier receiver acknowledged won't come
        repeated = progress.expected - packet.seq
        count = 0 if packet.kind == _PROBE else len(packet.batch) or 1
        if 0 <= repeated < count:
            self._socket.stats.duplicates += repeated
            return self._accept(holder, progress, packet, repeated)
        self._socket.stats.duplicates += count if repeated > 0 else 0
        self._answer(Kind.LOST if repeated < 0 else Kind.ACK, holder, progress)
        return None

    def _accept(self, holder: Holder, progress: _Progress, packet: Packet, repeated: int = 0) -> Message | None:
        """Take the messages of a packet but for the first ones, which are here, and hand over the next one."""
        self._current = holder, progress
        if packet.kind == _BATCH:
            self._batch.extend(packet.batch[repeated:] if repeated else packet.batch)
        else:
            _, _, _, seq, _, sender, incarnation, version, meta, arrays, *_ = packet
            self._batch.append(tuple.__new__(Message, (sender, incarnation, seq, version, meta, arrays)))
        self._bytes = packet.size if not repeated else sum([message.nbytes for message in self._batch])
        progress.owed += self._bytes
        return self._hand_over()

    def _hand_over(self) -> Message | None:
        """Return the next message of the current sender and acknowledge it, now or soon; None if it is refused."""
        assert self._current
        holder, progress = self._current
        message = self._batch.popleft()
        progress.expected += 1
        finite = not self._finite or self._is_finite(message)
        if not self._batch:
            # However long the program took over the messages before: the sender was not silent.
            holder.heard = time.monotonic()
        if progress.expected - progress.acked >= self._ack_every or progress.owed >= WINDOW_BYTES // 16:
            self._answer(Kind.ACK, holder, progress)
        else:
            self._late.add(holder.name)
        if not finite:
            return None
        # An equal share of the batch: a look at its own arrays costs as much as its reading. The last gets the rest.
        # Where all arrays were looked at anyway it is its own bytes, since those of a refused message do not count.
        share, stats = message.nbytes if self._finite else self._bytes // (len(self._batch) + 1), self._socket.stats
        self._bytes -= share
        stats.messages += 1
        stats.bytes += share
        return message

    def _is_finite(self, message: Message) -> bool:
        """Count and log a message that no honest sender of this stream sends."""
        try:
            check_finite(message.arrays)
        except NotFiniteError as error:
            self._socket.stats.refused += 1
            sender = message.sender
            self._node.warn(f"{sender} finite", f"refused message {message.seq} of {sender}: {error}")
            return False
        return True

    def _acknowledge(self) -> None:
        """Tell every sender that is owed it how far it has come."""
        for name in list(self._late):
            self._answer(Kind.ACK, self._names.holders[name], self._progress[name])

    def _answer(self, kind: Kind, holder: Holder, progress: _Progress) -> None:
        """Say how far a sender has come. What does not reach it, it asks for."""
        prefix = encode_prefix(kind, progress.round, holder.session, progress.expected, 0)
        self._socket.send(prefix + self._body, route=holder.route)
        progress.acked, progress.owed = progress.expected, 0
        self._late.discard(holder.name)
