"""Waiting for several channels at once."""

import math
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Any, Protocol, TypeVar

import zmq

from surreal.protocol.profiling.spans import IDLE, operation
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import STOP_POLL_S


class Selectable(Protocol):
    """A reading end of a channel."""

    @property
    def select_lock(self) -> AbstractContextManager[Any]:
        """The lock of its socket, held while the socket is polled."""

    @property
    def select_socket(self) -> "zmq.Socket[bytes] | None":
        """The socket on which packets arrive; None if the I/O thread reads them and calls `wake`."""

    def has_message(self) -> bool:
        """Return True if there is something to read. Reads what else has arrived; called with the lock."""

    def wake_on_message(self, wake: Callable[[], None]) -> None:
        """Have `wake` called by the I/O thread with each new value, if there is no socket to poll."""


S = TypeVar("S", bound=Selectable)


class Selector:
    """Waits for the channels of one node. For one thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def wait(self, channels: Sequence[S], timeout: float | None) -> list[S]:
        """Return the channels that have something to read, as soon as one has; none after `timeout` seconds.

        Raises Stopping, and what the channels raise.
        """
        for channel in channels:
            channel.wake_on_message(self._wake)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._node.check()
            left = STOP_POLL_S if deadline is None else deadline - time.monotonic()
            ready = self._poll(channels, max(0.0, min(left, STOP_POLL_S)))
            if ready or left <= 0:
                return ready

    def close(self) -> None:
        """Give the descriptors back."""
        self._reader.close()
        self._writer.close()

    def _poll(self, channels: Sequence[S], seconds: float) -> list[S]:
        """Return the channels that are ready now, or none after waiting up to `seconds` for a packet.

        With all locks held the I/O thread cannot take a packet between the look and the poll. It skips a socket whose
        lock is taken, so it does not wait for us.
        """
        with ExitStack() as locks:
            for channel in channels:
                locks.enter_context(channel.select_lock)
            ready = [channel for channel in channels if channel.has_message()]
            if ready or not seconds:
                return ready
            poller = zmq.Poller()
            poller.register(self._reader.fileno(), zmq.POLLIN)
            for channel in channels:
                if (polled := channel.select_socket) is not None:
                    poller.register(polled, zmq.POLLIN)
            with operation("wait", IDLE):
                poller.poll(math.ceil(seconds * 1000))
        with suppress(BlockingIOError):
            self._reader.recv(4096)
        return []

    def _wake(self) -> None:
        # a full pipe wakes the thread just as well; a closed one belongs to a process that ends
        with suppress(OSError):
            self._writer.send(b"\0")
