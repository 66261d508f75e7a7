"""Health and metrics of an operator over HTTP: /healthz, /readyz and /metrics."""

import socket
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest

from surreal.protocol.errors import InvalidInput

PATHS = ("/healthz", "/readyz", "/metrics")


class HealthServer:
    """Server of a port; 0 is any, and `port` says which. Raises InvalidInput where the port cannot be had."""

    def __init__(
        self, port: int, alive: Callable[[], bool], ready: Callable[[], bool], registry: CollectorRegistry
    ) -> None:
        answers = {
            "/healthz": lambda: _said(alive()),
            "/readyz": lambda: _said(ready()),
            "/metrics": lambda: (200, generate_latest(registry)),
        }
        try:
            self._server = _Server(("", port), _handler(answers))
        except OSError as error:
            raise InvalidInput(
                f"--port: {port} cannot be had: {error.strerror}. Choose another one; 0 is any."
            ) from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    """Server of both families of addresses, which says nothing of a probe that did not wait for its answer."""

    daemon_threads = True
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def server_bind(self) -> None:
        """Bind the port for IPv4 and IPv6, and ask no name server for a name that nothing shows."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: object, client_address: object) -> None:
        """Write nothing."""


def _said(good: bool) -> tuple[int, bytes]:
    return (200, b"ok\n") if good else (503, b"not ok\n")


def _handler(answers: dict[str, Callable[[], tuple[int, bytes]]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers of one operator."""

        timeout = 10.0

        def do_GET(self) -> None:
            """Answer one of PATHS."""
            answer = answers.get(self.path.partition("?")[0])
            status, body = answer() if answer else (404, b"not found\n")
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Write nothing: probes come every few seconds."""

    return Handler
