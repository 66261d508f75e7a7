"""The connections of a bound port: their keys, their memory, and cutting those that misbehave.

libzmq collects the frames of a message until the last has come, and no option bounds their number. So the bytes that a
connection has received, by the kernel's count, are compared with the bytes that the port was handed from it. The rest
lies in memory unseen, and a connection that holds more than the limits allow is shut down. The kernel counts for TCP on
Linux; elsewhere an endless message is bounded by the machine alone.
"""

import os
import socket as sockets
import struct
import sys
import threading
from contextlib import suppress

import zmq

from surreal.protocol.transport.io_loop import IOLoop
from surreal.protocol.transport.monitor import Monitor
from surreal.protocol.transport.node import trim_memory
from surreal.protocol.transport.stats import Warn

POLL_INTERVAL_S = 0.2
"""Seconds between two looks at what the connections hold."""
CHECKED_PER_POLL = 500
"""Connections of a port, beside those whose handshake is under way, that are weighed at a look. Of more they take
turns: each costs 4 us, and thousands would keep the I/O thread busy."""
MAX_SCORE = 100
"""Score at which a connection is cut."""
MALFORMED_SCORE, REFUSED_SCORE = 10, 1
"""Added to the score by a packet that is none, and by one that is not wanted: an honest sender in the wrong place has
a window of packets under way before it hears so."""
FRAME_OVERHEAD_BYTES = 1024
"""Bytes that a packet may take on the wire beside its own: 42 for each encrypted frame."""
MAX_UNREAD_BYTES = 32 * 1024 * 1024
"""Bytes of unread packets that a connection may always hold: a stream's window. More where its packets are large."""
UNAUTHENTICATED_SENT_BYTES = 256
"""Bytes sent to a client before its key is accepted: greeting 64, welcome 170. Afterwards they are 301 or more."""
UNAUTHENTICATED_MAX_BYTES = 8 * 1024
"""Bytes that such a client may send; its part of the handshake has about 600."""
TRIM_POLLS = 50
"""Looks, after a cut and after libzmq says that it has ended, at which memory is given back: libzmq frees what the
connection held in its own time, which is seconds where its thread gets little of the CPU."""
FORGET_AFTER_POLLS = 150
"""Looks for which a connection that has ended is remembered: its last packets may not have been read yet."""

FAILED = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
"""A key that is refused is not among them: the ZAP handler knows more about it."""
EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | FAILED
HANDSHAKE_FAILED = (
    "a client failed in its handshake: it fell silent, speaks no ZMTP, has no key or expects another server's"
)
_COUNTS = struct.Struct("<120xQQ")
"""In Linux's struct tcp_info: bytes that the peer has acknowledged, and bytes received."""


class Connection:
    """One connection. The receiving thread writes `handed` and `largest`, all else happens under the lock."""

    __slots__ = ("fd", "handed", "largest", "identified", "prefix", "score", "slack")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        """Its descriptor, which is libzmq's; -1 once it is closed or cut."""
        self.prefix = ""
        """Beginning of its senders' names; empty where there are no keys."""
        self.identified = False
        """True once a packet has come from it."""
        self.handed = 0
        """At least the bytes of the packets that the port was handed from it, as they were on the wire."""
        self.largest = 0
        """The largest packet of those."""
        self.slack = 0
        """Bytes by which `handed` was seen to be too much."""
        self.score = 0

    def count(self, size: int) -> None:
        """Note that the port was handed a packet of `size` bytes."""
        size += FRAME_OVERHEAD_BYTES
        self.handed += size
        if size > self.largest:
            self.largest = size


class Connections:
    """The connections of one port."""

    def __init__(
        self,
        socket: "zmq.Socket[bytes]",
        loop: IOLoop,
        warn: Warn,
        *,
        keyed: bool,
        packet: int,
        queue: int,
    ) -> None:
        """Watch a socket that is not bound yet. `warn(thing, text)` is called for refused and cut connections.

        `keyed`: clients show a key; `packet`: bytes that a packet may have; `queue`: packets that libzmq holds for each
        connection.
        """
        self._socket, self._endpoint = socket, ""
        self._loop, self._warn = loop, warn
        self._keyed, self._packet, self._queue = keyed, packet, queue
        self.routes: dict[bytes, Connection] = {}
        """Connections by the route that ROUTER gives each. The receiving thread reads it without the lock."""
        self._open: dict[int, Connection] = {}
        self._ended: dict[Connection, int] = {}
        """Connections that have ended -> looks since."""
        self._polls = 0
        self._trims_left = 0
        """Looks at which memory is still given back."""
        self._lock = threading.Lock()
        self._monitor = Monitor(socket, EVENTS)
        self._timer = loop.every(POLL_INTERVAL_S, self._poll)

    def bound(self) -> None:
        """Note that the socket listens now."""
        self._endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def identify(self, route: bytes, frame: zmq.Frame) -> Connection:
        """Return the connection of a first packet; `frame` is the one with the route."""
        with self._lock:
            self._read_events()
            connection = self._open.get(_descriptor(frame))
            if connection is None or connection.identified:  # its own has ended
                connection = Connection(-1)
                self._ended[connection] = 0
            connection.identified = True
            # a port with keys admits only clients with a user id, which is the role
            connection.prefix = f"{frame.get('User-Id')}/" if self._keyed else ""
            self.routes[route] = connection
        return connection

    def add_score(self, route: bytes, weight: int, reason: str) -> None:
        """Add to the score of a connection, and cut it if the score is too high."""
        connection = self.routes.get(route)
        if connection is None or connection.fd < 0:  # it has ended
            return
        connection.score += weight
        if connection.score >= MAX_SCORE:
            with self._lock:
                self._read_events()
                self._cut(connection, reason)

    def close(self) -> None:
        """Stop looking; before the socket is closed."""
        self._loop.cancel(self._timer)
        with self._lock:
            self._monitor.close()

    def _read_events(self) -> None:
        """Take in which connections have come and gone."""
        for event, value in self._monitor.read():
            if event == zmq.EVENT_ACCEPTED:
                self._open[value] = Connection(value)
            elif event & FAILED:
                self._warn("handshake", HANDSHAKE_FAILED)
            elif value in self._open:
                ended = self._open.pop(value)
                if ended.fd < 0:  # it was cut
                    self._trims_left = TRIM_POLLS
                ended.fd = -1
                self._ended[ended] = 0

    def _poll(self) -> None:
        with self._lock:
            if self._trims_left:
                self._trims_left -= 1
                trim_memory()
            self._read_events()
            self._forget()
            if sys.platform == "linux" and self._endpoint.startswith("tcp://"):
                for connection in self._next():
                    with suppress(OSError):  # closed by libzmq in this moment
                        self._check(connection)

    def _next(self) -> list[Connection]:
        """Return the connections whose turn it is, by descriptor, and those that have sent nothing."""
        self._polls += 1
        turns = -(-len(self._open) // CHECKED_PER_POLL)
        return [each for each in self._open.values() if not each.identified or (each.fd + self._polls) % turns == 0]

    def _forget(self) -> None:
        """Drop what is known about connections that have ended long ago."""
        self._ended = {each: looks + 1 for each, looks in self._ended.items()}
        if any(looks > FORGET_AFTER_POLLS for looks in self._ended.values()):
            self._ended = {each: looks for each, looks in self._ended.items() if looks <= FORGET_AFTER_POLLS}
            gone = [route for route, each in self.routes.items() if each.fd < 0 and each not in self._ended]
            for route in gone:
                del self.routes[route]

    def _check(self, connection: Connection) -> None:
        """Cut a connection that holds more than it may."""
        if connection.fd < 0:
            return
        # Read `handed` before the kernel's count: a packet that arrives in between must not seem to be held.
        handed = connection.handed
        acknowledged, received = _tcp_counts(connection.fd)
        if (
            self._keyed
            and not connection.identified
            and acknowledged < UNAUTHENTICATED_SENT_BYTES
            and received > UNAUTHENTICATED_MAX_BYTES
        ):
            self._cut(connection, f"it sent {received} bytes instead of a handshake")
            return
        # `handed` estimates the bytes on the wire from above, as the overhead of frames varies. Where that makes `held`
        # negative, the difference is remembered as slack, so that the estimate can never hide what is held later.
        held = received - (handed - connection.slack)
        connection.slack = max(connection.slack, connection.slack - held)
        limit = self._packet + max(MAX_UNREAD_BYTES, self._queue * connection.largest)
        if held > limit:
            self._cut(connection, f"it holds {held} bytes of unfinished or unread messages, the limit is {limit}")

    def _cut(self, connection: Connection, reason: str) -> None:
        """Shut a connection down; libzmq takes that for the peer's doing.

        If its descriptor has come to mean another connection of this port in this moment, that one has to connect
        again.
        """
        with suppress(OSError), sockets.socket(fileno=os.dup(connection.fd)) as duplicate:
            if not self._is_ours(duplicate):
                return
            peer = duplicate.getpeername()
            connection.fd = -1
            self._warn("cut", f"{peer[0] if isinstance(peer, tuple) else 'a local process'} was cut off: {reason}")
            # a reset when libzmq closes it: a peer that waits for a window to open would otherwise not hear of it
            duplicate.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
            duplicate.shutdown(sockets.SHUT_RDWR)
            self._trims_left = TRIM_POLLS

    def _is_ours(self, duplicate: sockets.socket) -> bool:
        """Return True if this is the near end of a connection to the port."""
        name = duplicate.getsockname()
        if isinstance(name, tuple):
            return self._endpoint.startswith("tcp://") and self._endpoint.endswith(f":{name[1]}")
        return self._endpoint == f"ipc://{name}"


def _descriptor(frame: zmq.Frame) -> int:
    """Return the descriptor of the connection of a frame; -1 if it ended too soon for libzmq to know."""
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return -1


def _tcp_counts(fd: int) -> tuple[int, int]:
    """Return (bytes the peer has acknowledged, bytes received) of a TCP connection, from the kernel."""
    borrowed = sockets.socket(fileno=fd)
    try:
        acknowledged, received = _COUNTS.unpack(
            borrowed.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_INFO, _COUNTS.size)
        )
    finally:
        borrowed.detach()
    return acknowledged, received
