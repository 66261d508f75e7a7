"""A TCP proxy that cuts its connections after given numbers of bytes."""

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Iterable


class Proxy:
    """Forwards to one address. A cut resets both sides and loses what is in between."""

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.removeprefix("tcp://").rpartition(":")
        self._upstream = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = 0
        self.recorded: list[bytearray] = []
        """What each connection has sent towards the upstream."""
        self._after: deque[int] = deque()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut_after(self, sizes: Iterable[int]) -> None:
        """Cut the connections to come, one for each size, after that many bytes towards the upstream."""
        self._after.extend(sizes)

    def inject(self, data: bytes) -> None:
        """Send more towards the upstream, over the first connection, as if the client had."""
        self._open[1].sendall(data)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for side in list(self._open):
            self._end(side)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._upstream)
            except OSError:
                return
            self._open += [near, far]
            self.recorded.append(bytearray())
            limit = self._after.popleft() if self._after else None
            for arguments in ((near, far, limit, self.recorded[-1]), (far, near, None, bytearray())):
                self._threads.append(threading.Thread(target=self._pump, args=arguments))
                self._threads[-1].start()

    def _pump(self, source: socket.socket, sink: socket.socket, limit: int | None, record: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536 if limit is None else min(65536, limit + 1)):
                sink.sendall(data)
                record += data
                if limit is not None:
                    limit -= len(data)
                    if limit <= 0:
                        self.cuts += 1
                        break
        self._end(source)
        self._end(sink)

    @staticmethod
    def _end(side: socket.socket) -> None:
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
        side.close()
