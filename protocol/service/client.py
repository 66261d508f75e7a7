"""The asking end of a service: each call has a deadline, and asks another replica where one does not answer.

docs/wire.md has the rules; `server.py` is the other end.
"""

import math
import random
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import zmq

from surreal.protocol.errors import Refused, SurrealError, Timeout
from surreal.protocol.profiling.spans import IDLE, operation
from surreal.protocol.service.replica import Pending, Replica
from surreal.protocol.service.rows import CallError, Outcome
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import IO_INTERVAL_S, STOP_POLL_S
from surreal.protocol.transport.stats import Stats
from surreal.protocol.wire.codec import encode_body, encode_prefix
from surreal.protocol.wire.packet import Kind, Message, Packet

CALL_TIMEOUT_S = 10.0
"""Seconds that a call may take, unless it says otherwise."""
ATTEMPTS = 4
"""A call that has waited for this part of its time asks again, another replica if there is one."""
POLL_INTERVAL_S = 0.1
"""Seconds between two looks at connections, deadlines and silent replicas."""
BUSY_PAUSE_S = 0.05
"""Seconds before a request that a server refused for being one too many is sent again."""
_MAX_MILLISECONDS = 2**32 - 1


class ServiceClient:
    """The asking end: connects to every replica. For one thread at a time; another one may wait 0.1 s for its turn.

    Counters: `messages` were asked, `resent` asked again. `duplicates` were answered after their call had ended,
    `dropped` not answered in time. `refused` came from strangers or were refused as too many. `depth` is the number of
    open calls.
    """

    def __init__(self, node: Node, addresses: Sequence[str], window: int) -> None:
        """Connect in the background. `window`: requests that one replica may have unanswered."""
        self._node, self._window = node, window
        self._session = secrets.randbits(63)
        self._replicas = [Replica(node, address, window, self._session) for address in addresses]
        random.shuffle(self._replicas)  # so that clients that ask seldom do not all ask the same one
        self._stats = Stats()
        self._next = 0
        self._open: dict[int, Pending] = {}
        self._unsent: dict[int, Pending] = {}
        """Requests that no replica takes now: none is connected, or all that are have their window full."""
        self._poll_at = 0.0
        self._lock = threading.Lock()
        self._poller = zmq.Poller()
        self._timer = node.loop.every(IO_INTERVAL_S, self._tick)

    def call(
        self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any] | None = None, timeout: float = CALL_TIMEOUT_S
    ) -> Message:
        """Return ask and wait for the answer: `submit(...).result()`."""
        return self.submit(arrays, meta, timeout).result()

    def submit(
        self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any] | None = None, timeout: float = CALL_TIMEOUT_S
    ) -> Pending:
        """Return ask, and collect the answer later, within `timeout` seconds from now.

        Waits where as many requests are unanswered as the replicas' windows hold. Large arrays are not copied: do not
        change them before the answer is there. Raises Stopping, Refused, Timeout, and ValueError for what no message
        can carry.
        """
        item = encode_body(self._node.name, self._node.incarnation, (0, 0), meta, arrays)
        deadline = time.monotonic() + timeout
        with self._lock:
            if len(self._open) >= self._window * len(self._replicas):
                self._wait_for_room(deadline, timeout)
            self._raise_if_refused()
            pending = Pending(self._poll_for, self._wait_for, self._next, item, timeout, deadline)
            self._open[self._next] = pending
            self._next += 1
            self._stats.messages += 1
            self._stats.bytes += item.size
            # Behind those that no connection has taken yet.
            self._unsent[pending.seq], pending.due = pending, deadline
            self._send_unsent()
        return pending

    @property
    def stats(self) -> Stats:
        """A copy of the counters."""
        refused = self._stats.refused + sum(replica.socket.stats.refused for replica in self._replicas)
        return self._stats.copy(refused=refused, depth=len(self._open))

    def close(self) -> None:
        """Disconnect. A call that still waits gets an error."""
        self._node.loop.cancel(self._timer)
        with self._lock:
            for pending in list(self._open.values()):
                self._finish(
                    pending,
                    SurrealError(
                        f"{self._node.name}: closed the service while it waited. Ask again after it is opened."
                    ),
                )
            for each in self._replicas:
                each.close()

    def _poll_for(self, pending: Pending) -> bool:
        """Read answers; return True if this call has ended. For `Pending.done`."""
        with self._lock:
            self._serve()
            return pending.outcome is not None

    def _wait_for(self, pending: Pending) -> None:
        """Wait until this request has ended. For `Pending.result`."""
        with self._lock:
            while pending.outcome is None:
                self._node.check()
                self._wait()
                if pending.outcome is None or time.monotonic() >= self._poll_at:
                    self._serve()

    def _wait_for_room(self, deadline: float, timeout: float) -> None:
        last = time.monotonic()
        self._serve()
        while len(self._open) >= self._window * len(self._replicas):
            self._node.check()
            self._raise_if_refused()
            if last >= deadline:
                raise Timeout(f"{self._addresses()}: no room for a request within {timeout} s. Look at its server.")
            self._wait()
            self._serve()
            now = time.monotonic()
            # Counted in each round, so that a long wait shows while it lasts.
            self._stats.blocked_seconds += now - last
            last = now

    def _wait(self) -> None:
        """Wait for an answer, for a connection where a request has none, or for the next look."""
        if len(self._replicas) == 1 and not self._unsent:
            # One socket waits by itself and gives the answer at once.
            (only,) = self._replicas
            if received := only.socket.receive(min(STOP_POLL_S, self._poll_at - time.monotonic())):
                self._take(only, received[1])
            return
        for replica in self._replicas:
            writable = zmq.POLLOUT if replica.blocked and self._unsent else 0
            self._poller.register(replica.socket.zmq_socket, zmq.POLLIN | writable)
        left = min(STOP_POLL_S, self._poll_at - time.monotonic())
        with operation("wait", IDLE):
            self._poller.poll(max(0, math.ceil(left * 1000)))

    def _tick(self) -> None:
        """Serve the calls in the I/O thread, unless a thread has the lock and serves them itself."""
        if self._lock.acquire(blocking=False):
            try:
                self._serve()
            finally:
                self._lock.release()

    def _serve(self) -> None:
        """Take the answers, then do what is due."""
        for replica in self._replicas:
            while received := replica.socket.receive():
                self._take(replica, received[1])
        self._send_unsent()
        if time.monotonic() >= self._poll_at:
            self._poll()

    def _send_unsent(self) -> None:
        while self._unsent and self._transmit(next(iter(self._unsent.values()))):
            pass

    def _poll(self) -> None:
        """Repeat unanswered requests, end those whose time is over, and check the connections."""
        now = time.monotonic()
        for replica in self._replicas:
            if replica.lost(now):
                self._leave(replica, now)
        for pending in list(self._open.values()):
            if now >= pending.deadline:
                self._stats.dropped += 1
                tried = (
                    ", ".join(dict.fromkeys(each.described for each in pending.asked))
                    or "no replica: none is connected"
                )
                self._finish(pending, Timeout(f"{tried}: no answer within {pending.timeout} s. Look at its log."))
            elif now >= pending.due:
                self._retry(pending, now)
        self._poll_at = min([now + POLL_INTERVAL_S, *(pending.due for pending in self._open.values())])

    def _retry(self, pending: Pending, now: float) -> None:
        """Ask again. Avoid a replica that has said nothing since it was asked."""
        last = pending.asked[-1] if pending.asked else None
        if last and last in pending.slots and last.heard < pending.sent and not last.silent:
            last.silent = True
            self._leave(last, now)
        self._transmit(pending)

    def _leave(self, replica: Replica, now: float) -> None:
        """Have everything that was asked of a replica asked somewhere else at the next look."""
        for pending in self._open.values():
            if pending.asked and pending.asked[-1] is replica:
                pending.due = now
        self._poll_at = now

    def _transmit(self, pending: Pending) -> bool:
        """Send to the best replica that takes it: heard of, least often asked this, least busy."""
        self._unsent[pending.seq] = pending
        pending.due = pending.deadline
        takers = [r for r in self._replicas if not r.refused and (r in pending.slots or r.open < self._window)]
        if len(takers) > 1:
            takers.sort(key=lambda replica: (replica.silent, pending.asked.count(replica), replica.open))
        now = time.monotonic()
        left = min(_MAX_MILLISECONDS, max(1, int((pending.deadline - now) * 1000)))
        prefix = encode_prefix(Kind.REQUEST, left, self._session, pending.seq, 0)
        for replica in takers:
            if replica.send(prefix + pending.item.body, pending.item.frames, now):
                del self._unsent[pending.seq]
                self._note_sent(pending, replica, now)
                return True
        return False

    def _note_sent(self, pending: Pending, replica: Replica, now: float) -> None:
        self._stats.resent += bool(pending.asked)
        pending.asked.append(replica)
        if replica not in pending.slots:
            pending.slots.add(replica)
            replica.open += 1
        pending.sent = now
        pending.due = min(pending.deadline, now + pending.timeout / ATTEMPTS)
        self._poll_at = min(self._poll_at, pending.due)

    def _take(self, replica: Replica, packet: Packet) -> None:
        if packet.kind == Kind.REFUSED:
            replica.refused = str(packet.meta.get("reason", "no reason given"))
            self._leave(replica, time.monotonic())
            self._end_if_refused()
        elif not replica.knows(packet):
            replica.socket.refuse(b"", "stale", f"{packet.sender} incarnation {packet.incarnation} was replaced")
        elif packet.kind == Kind.REPLY:
            self._resolve(replica, packet)

    def _resolve(self, replica: Replica, packet: Packet) -> None:
        """End the request that this answers. An answer to nothing that is open is late: another one came first."""
        pending = self._open.get(packet.seq)
        if pending is None and packet.seq < self._next:
            self._stats.duplicates += 1
        elif pending is None or replica not in pending.asked:
            replica.socket.refuse(b"", "reply", f"{packet.sender} answered {packet.seq}, which it was never asked")
        elif packet.round == Outcome.ANSWERED:
            self._finish(
                pending,
                Message(packet.sender, packet.incarnation, packet.seq, packet.version, packet.meta, packet.arrays),
            )
        elif packet.round == Outcome.BUSY:
            self._stats.refused += 1
            pending.due = time.monotonic() + BUSY_PAUSE_S
            self._poll_at = min(self._poll_at, pending.due)
        else:
            self._finish(pending, CallError(f"{packet.sender}: {packet.meta.get('reason', 'no reason given')}"))

    def _finish(self, pending: Pending, outcome: Message | SurrealError) -> None:
        pending.outcome = outcome
        del self._open[pending.seq]
        self._unsent.pop(pending.seq, None)
        for replica in pending.slots:
            replica.open -= 1

    def _addresses(self) -> str:
        return ", ".join(replica.described for replica in self._replicas)

    def _refusal(self) -> Refused | None:
        """Return why no replica will ever answer; None if one may."""
        reasons = [f"{replica.described}: {replica.refused}" for replica in self._replicas if replica.refused]
        if len(reasons) < len(self._replicas):
            return None
        return Refused(f"{self._node.name} cannot ask {'; '.join(reasons)}")

    def _end_if_refused(self) -> None:
        if refusal := self._refusal():
            for pending in list(self._open.values()):
                self._finish(pending, refusal)

    def _raise_if_refused(self) -> None:
        if self._replicas[0].refused and (refusal := self._refusal()):
            raise refusal
