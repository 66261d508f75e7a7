"""What the channels of one process have in common: its name, its I/O thread, and whether it shall stop."""

import math
import os
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

import zmq

from surreal.protocol.errors import Stopping
from surreal.protocol.transport.authorization import Access, Gate
from surreal.protocol.transport.curve_keys import Keys
from surreal.protocol.transport.io_loop import Loop
from surreal.protocol.transport.memory import keep_freed_memory
from surreal.protocol.transport.stats import Complaints


class Node:
    """A process as its channels see it. Close it after the channels; it is a context manager."""

    def __init__(
        self,
        name: str,
        incarnation: int,
        keys: Keys | None = None,
        access: Mapping[str, Access] | None = None,
    ) -> None:
        """`name` is unique among the processes it talks to; of two with one name the larger incarnation wins.

        With `keys` every port speaks CURVE, and `access` says for each address which roles may be at its ends.
        Makes malloc keep what messages leave (`memory.py`).
        """
        keep_freed_memory()
        self.name = name
        self.incarnation = incarnation
        self.who = f"pid {os.getpid()} on {socket.gethostname()}"
        self.stopping = threading.Event()
        self.stop_reason = ""
        self.stopped_at = math.inf
        """Monotonic seconds."""
        self.preempted = False
        """Asked to stop although the run goes on: by a signal, or because the supervisor is gone."""
        self.complain = Complaints()
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.loop = Loop()
        self.keys, self.access = keys, dict(access or {})
        self.gate = Gate(self.context, self.loop, keys) if keys else None

    def stop(self, reason: str, preempted: bool = False) -> None:
        """Ask this process to stop; the first reason is kept. Safe from any thread (a signal handler uses `call`)."""
        if not self.stopping.is_set():
            self.stop_reason, self.preempted, self.stopped_at = reason, preempted, time.monotonic()
            self.stopping.set()

    def check(self) -> None:
        """Raise Stopping when this process has been asked to stop."""
        if self.stopping.is_set():
            raise Stopping(self.stop_reason)

    def close(self) -> None:
        """End the I/O thread and close what sockets are left."""
        if self.gate:
            self.gate.close()
        self.loop.close()
        self.context.destroy(linger=0)

    def __enter__(self) -> "Node":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()
