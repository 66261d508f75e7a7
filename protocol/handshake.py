"""Whether a dialling port is connected, and why one with keys is not let in: libzmq tells nobody but its monitor."""

import zmq

from surreal.protocol.loop import Loop
from surreal.protocol.monitor import Monitor
from surreal.protocol.stats import Complain

LOOK_EVERY = 0.2
"""Seconds between two looks at the events."""
FAILED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
EVENTS = FAILED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
KEY_REFUSED = "authentication failed: the other end does not accept this process's key"
NO_CURVE = "authentication failed: the other end does not speak CURVE, it has no keys or is no port of surreal's"
HUNG_UP = (
    "the other end hangs up during the handshake: it is going away, or it is not the port that it should be "
    "(another experiment's, with another server key); trying on"
)


class Handshakes:
    """Watches the handshakes of one dialling socket from the I/O thread."""

    def __init__(self, socket: "zmq.Socket[bytes]", loop: Loop, complain: Complain) -> None:
        """Before `socket` connects. `complain(thing, text)` hears of failures that may pass."""
        self._socket, self._loop, self._complain = socket, loop, complain
        self._denied = ""
        self.up = False
        """Connected, and welcome as far as libzmq can tell."""
        self._monitor = Monitor(socket, EVENTS)
        self._timer = loop.every(LOOK_EVERY, self._look)

    def denied(self) -> str:
        """Why libzmq has given up, the first time that this is asked since; otherwise nothing."""
        denied, self._denied = self._denied, ""
        return denied

    def close(self) -> None:
        """Stop watching; before the socket is closed."""
        self._loop.cancel(self._timer)
        self._monitor.close()

    def _look(self) -> None:
        for event, _ in self._monitor.read():
            self.up = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            if not event & FAILED:
                continue
            if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                self._complain("handshake", HUNG_UP)
            else:
                self._denied = KEY_REFUSED if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH else NO_CURVE
        if self._denied:  # nothing will arrive that would make the socket's reader look
            self._loop.poke(self._socket)
