"""Is there a running process at the other end of a connection? libzmq's own threads know, whatever Python does.

A thread of Python says nothing while another one holds the GIL, for instance in a long call into C: who does not answer
may be busy. ZMTP's heartbeats are answered by libzmq. They go on while the process computes, and end with the process,
with the network between, and while the process is stopped.
"""

from contextlib import suppress

import zmq
from zmq.utils.monitor import parse_monitor_message

from surreal.protocol.node import Node

EVENTS = int(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)


class Contact:
    """Follows, in the I/O thread, whether a dialling socket with heartbeats has a running process to talk to."""

    def __init__(self, node: Node, socket: zmq.Socket[bytes]) -> None:
        """A handshake before this call goes unnoticed: set `up` when something is received, which proves as much."""
        self._node, self._socket = node, socket
        self.up = False
        self._monitor = socket.get_monitor_socket(EVENTS)
        node.loop.watch(self._monitor, self._read)

    def close(self) -> None:
        """Stop following; call it before the socket is closed."""
        self._node.loop.forget(self._monitor)
        self._socket.disable_monitor()

    def _read(self) -> None:
        with suppress(zmq.Again):
            while True:
                event = parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))
                self.up = event["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED
