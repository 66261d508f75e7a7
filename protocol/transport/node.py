"""Node: the name, the I/O thread and the stop of one process, which all its channels share."""

import ctypes
import math
import os
import socket
import threading
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import zmq

from surreal.protocol.errors import Stopping
from surreal.protocol.transport.authorization import Access, ZapHandler
from surreal.protocol.transport.curve_keys import Keys
from surreal.protocol.transport.io_loop import IOLoop
from surreal.protocol.transport.stats import RateLimitedLog, StopEvent

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
KEPT_BYTES = 128 * 1024 * 1024
"""Bytes that may stay with the process after their messages are gone."""
LARGEST_BLOCK_BYTES = 32 * 1024 * 1024
"""Bytes of a block that may be kept; the most that glibc takes."""


@cache
def keep_freed_memory() -> bool:
    """Have malloc keep up to KEPT_BYTES of freed memory for the next message; return True if it does.

    glibc returns large blocks to the system at once, which then clears every page of the next message anew. That takes
    0.2 ms for each MB, more than it takes to receive it. Other systems' allocators are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl, macOS
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST_BLOCK_BYTES) and mallopt(_TRIM_THRESHOLD, KEPT_BYTES))


def trim_memory() -> None:
    """Return to the system what is kept now, after something unusual has come and gone."""
    if keep_freed_memory():
        ctypes.CDLL(None).malloc_trim(0)


class Node:
    """A process as its channels see it. Close it after the channels; it is a context manager."""

    def __init__(
        self,
        name: str,
        incarnation: int,
        keys: Keys | None = None,
        access: Mapping[str, Access] | None = None,
    ) -> None:
        """Start the I/O thread.

        `name` is unique among the processes it talks to; of two with one name the larger incarnation wins. With `keys`
        every port speaks CURVE, and `access` has the roles at the ends of each address. Makes malloc keep the memory of
        messages.
        """
        keep_freed_memory()
        self.name = name
        self.incarnation = incarnation
        self.who = f"pid {os.getpid()} on {socket.gethostname()}"
        self.stopping: threading.Event = StopEvent()
        self.stop_reason = ""
        self.stopped_at = math.inf
        """Monotonic seconds."""
        self.preempted = False
        """Asked to stop although the run goes on: by a signal, or because the supervisor is gone."""
        self.warn = RateLimitedLog()
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.loop = IOLoop()
        self.keys, self.access = keys, dict(access or {})
        self.zap = ZapHandler(self.context, self.loop, keys) if keys else None

    def stop(self, reason: str, preempted: bool = False) -> None:
        """Return ask this process to stop; the first reason is kept. Safe from any thread (a signal handler uses
        `call`).
        """
        if not self.stopping.is_set():
            self.stop_reason, self.preempted, self.stopped_at = reason, preempted, time.monotonic()
            self.stopping.set()

    def check(self) -> None:
        """Raise Stopping when this process has been asked to stop."""
        if self.stopping.is_set():
            raise Stopping(self.stop_reason)

    def close(self) -> None:
        """End the I/O thread and close what sockets are left."""
        if self.zap:
            self.zap.close()
        self.loop.close()
        self.context.destroy(linger=0)

    def __enter__(self) -> "Node":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()
