"""Events of the connections of one socket, as libzmq reports them."""

import struct
from collections.abc import Iterator
from itertools import count

import zmq

from surreal.protocol.transport.io_loop import IOLoop
from surreal.protocol.transport.stats import Warn

_EVENT = struct.Struct("=Hi")
_numbers = count()


class Monitor:
    """The events of one socket, in their order; none is ever lost or waited for. Not thread-safe."""

    def __init__(self, socket: "zmq.Socket[bytes]", events: int) -> None:
        """Listen to `events`, a union of zmq.EVENT_*, from now on."""
        endpoint = f"inproc://surreal-monitor-{next(_numbers)}"
        self._socket = socket
        socket.monitor(endpoint, events)
        self.events = socket.context.socket(zmq.PAIR)
        self.events.setsockopt(zmq.RCVHWM, 0)  # at a limit libzmq's own I/O thread would wait for us
        self.events.connect(endpoint)

    def read(self) -> Iterator[tuple[int, int]]:
        """Return (event, value) of all events since the last call. The value is a descriptor, errno or status."""
        while True:
            try:
                event, *_ = self.events.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            yield _EVENT.unpack(event)

    def close(self) -> None:
        """Stop listening; before the socket is closed."""
        self._socket.monitor(None, 0)
        self.events.close(linger=0)


POLL_INTERVAL_S = 0.2
"""Seconds between two looks at the events."""
FAILED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
EVENTS = FAILED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
KEY_REFUSED = "authentication failed: the other end does not accept this process's key"
NO_CURVE = "authentication failed: the other end does not speak CURVE, it has no keys or is no port of surreal's"
HUNG_UP = (
    "the other end hangs up during the handshake: it is going away, or it is not the port that it should be "
    "(another experiment's, with another server key); trying on"
)


class HandshakeMonitor:
    """Watches the handshakes of one dialling socket from the I/O thread."""

    def __init__(self, socket: "zmq.Socket[bytes]", loop: IOLoop, warn: Warn) -> None:
        """Watch a socket that is not connected yet. `warn(thing, text)` is called for failures that may pass."""
        self._socket, self._loop, self._warn = socket, loop, warn
        self._denied = ""
        self.up = False
        """Connected, and welcome as far as libzmq can tell."""
        self._monitor = Monitor(socket, EVENTS)
        self._timer = loop.every(POLL_INTERVAL_S, self._poll)

    def denied(self) -> str:
        """Return why libzmq has given up, once for each time; otherwise an empty string."""
        denied, self._denied = self._denied, ""
        return denied

    def close(self) -> None:
        """Stop watching; before the socket is closed."""
        self._loop.cancel(self._timer)
        self._monitor.close()

    def _poll(self) -> None:
        for event, _ in self._monitor.read():
            self.up = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            if not event & FAILED:
                continue
            if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                self._warn("handshake", HUNG_UP)
            else:
                self._denied = KEY_REFUSED if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH else NO_CURVE
        if self._denied:  # nothing will arrive that would make the socket's reader look
            self._loop.trigger(self._socket)
