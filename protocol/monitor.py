"""What libzmq says about the connections of one socket."""

import struct
from collections.abc import Iterator
from itertools import count

import zmq

_EVENT = struct.Struct("=Hi")
_numbers = count()


class Monitor:
    """The events of one socket, in their order; none is ever lost or waited for. Not thread-safe."""

    def __init__(self, socket: "zmq.Socket[bytes]", events: int) -> None:
        """Listens to `events`, a union of zmq.EVENT_*, from now on."""
        endpoint = f"inproc://surreal-monitor-{next(_numbers)}"
        self._socket = socket
        socket.monitor(endpoint, events)
        self.ear = socket.context.socket(zmq.PAIR)
        self.ear.setsockopt(zmq.RCVHWM, 0)  # at a limit libzmq's own I/O thread would wait for us
        self.ear.connect(endpoint)

    def read(self) -> Iterator[tuple[int, int]]:
        """(event, value) of what has happened since the last call. The value is a descriptor, errno or status."""
        while True:
            try:
                event, *_ = self.ear.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            yield _EVENT.unpack(event)

    def close(self) -> None:
        """Stop listening; before the socket is closed."""
        self._socket.monitor(None, 0)
        self.ear.close(linger=0)
