"""The one I/O thread of a process: sockets, timers and calls from other threads, while the working thread works."""

import logging
import math
import socket as sockets
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

import zmq

log = logging.getLogger("surreal")
T = TypeVar("T")


class Timer:
    """Calls `task` in the I/O thread every `seconds` until cancelled. A late call is not made up for."""

    def __init__(self, seconds: float, task: Callable[[], None]) -> None:
        self.seconds, self.task, self.due = seconds, task, time.monotonic() + seconds


class IOLoop:
    """A daemon thread that waits for sockets and timers and runs their callbacks, one at a time.

    A callback that raises is logged and does not end the thread. `call`, `run`, `watch`, `forget`, `every` and
    `cancel` may be used from any thread; after the last four have returned, the change is in effect.
    """

    def __init__(self) -> None:
        self._handlers: dict[Any, Callable[[], None]] = {}
        self._timers: list[Timer] = []
        self._tasks: deque[Callable[[], None]] = deque()
        self._poller = zmq.Poller()
        self._closing = False
        self._wake_reader, self._wake_writer = sockets.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._watch(self._wake_reader.fileno(), self._run_tasks)
        self._thread = threading.Thread(target=self._run, name="surreal-io", daemon=True)
        self._thread.start()

    def call(self, task: Callable[[], None]) -> None:
        """Have `task` run in the I/O thread soon. Safe in a signal handler."""
        self._tasks.append(task)
        with suppress(OSError):  # full: the thread will wake anyway; closed: nothing will run any more
            self._wake_writer.send(b"\0")

    def run(self, task: Callable[[], T]) -> T:
        """Run `task` in the I/O thread and return what it returns."""
        if threading.current_thread() is self._thread or not self._thread.is_alive():
            return task()
        future: Future[T] = Future()

        def report() -> None:
            try:
                future.set_result(task())
            except Exception as error:
                future.set_exception(error)

        self.call(report)
        return future.result()

    def watch(self, socket: zmq.Socket[bytes] | int, readable: Callable[[], None]) -> None:
        """Call `readable` while `socket`, or a file descriptor, has something to read. It must read all or some."""
        self.run(lambda: self._watch(socket, readable))

    def forget(self, socket: zmq.Socket[bytes] | int) -> None:
        """Stop watching `socket`."""

        def forget() -> None:
            if self._handlers.pop(socket, None):
                self._poller.unregister(socket)

        self.run(forget)

    def trigger(self, socket: zmq.Socket[bytes]) -> None:
        """Call the handler of `socket`, if there is one, as if there were something to read. In the I/O thread."""
        if socket in self._handlers:
            self._guard(self._handlers[socket])

    def every(self, seconds: float, task: Callable[[], None]) -> Timer:
        """Start a timer."""
        timer = Timer(seconds, task)
        self.run(lambda: self._timers.append(timer))
        return timer

    def start(self, timer: Timer) -> None:
        """Start a timer soon; does not wait for the I/O thread."""
        self.call(lambda: self._timers.append(timer))

    def cancel(self, timer: Timer) -> None:
        """End a timer."""
        self.run(lambda: self._timers.remove(timer) if timer in self._timers else None)

    def close(self) -> None:
        """End the thread. Later calls of `run` run in the caller's thread."""

        def end() -> None:
            self._closing = True

        self.run(end)
        if threading.current_thread() is not self._thread:
            self._thread.join()
            self._wake_reader.close()
            self._wake_writer.close()

    def _watch(self, source: Any, readable: Callable[[], None]) -> None:
        self._handlers[source] = readable
        self._poller.register(source, zmq.POLLIN)

    def _run_tasks(self) -> None:
        """Take the bytes that `call` sent, then do what it asks for."""
        with suppress(BlockingIOError):
            self._wake_reader.recv(4096)
        while self._tasks:
            self._guard(self._tasks.popleft())

    def _run(self) -> None:
        while not self._closing:
            for source, _ in self._poller.poll(self._until_next()):
                if source in self._handlers:  # an earlier handler of this round may have closed it
                    self._guard(self._handlers[source])
            now = time.monotonic()
            for timer in [timer for timer in self._timers if timer.due <= now]:
                timer.due = now + timer.seconds
                self._guard(timer.task)
        # a caller that waits in `run` gets an answer
        self._run_tasks()

    def _until_next(self) -> int:
        """Return milliseconds until the next timer is due, at most a second."""
        now = time.monotonic()
        soonest = min([1.0, *(timer.due - now for timer in self._timers)])
        return max(0, math.ceil(soonest * 1000))

    def _guard(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception:
            log.exception("internal error in the I/O thread, which goes on")
