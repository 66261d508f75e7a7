"""/metrics for Prometheus: the channels' counters, live processes, and the algorithm's newest metrics.

Read-only and without secrets. A web page cannot read it under a name of its own for our address (DNS rebinding). A
browser then sends that name as Host, and only IP addresses and localhost are answered.
"""

import ipaddress
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from surreal.protocol.telemetry.counters import CounterTable
from surreal.protocol.telemetry.gauges import Gauges
from surreal.protocol.wiring import Wiring
from surreal.protocol.wiring import starts as count_starts

log = logging.getLogger("surreal")

MAX_REQUESTS = 8
"""Requests that are answered at once; more are hung up on."""
READ_TIMEOUT_S = 5.0
"""Seconds that a peer may let us wait."""
COUNTERS = {
    "messages": ("messages", "Messages sent, or handed to the application."),
    "bytes": ("bytes", "Bytes of the arrays of those messages."),
    "resent": ("resent_messages", "Messages transmitted again because they were lost on the way."),
    "duplicates": ("duplicate_messages", "Messages that had been received before and were discarded."),
    "refused": ("refused_packets", "Packets that were malformed or from a process that may not send them."),
    "dropped": ("dropped_messages", "Messages given up on purpose because the window of a lossy stream was full."),
    "blocked_seconds": ("blocked_seconds", "Time the process waited, for room in its window or for a new version."),
}
"""Field of Stats -> name after surreal_channel_, help."""


class RunCollector(Collector):
    """The run in numbers, made at each scrape."""

    def __init__(self, wiring: Wiring, table: CounterTable, gauges: Gauges, alive: Callable[[str], set[int]]) -> None:
        self._wiring, self._table, self._gauges, self._alive = wiring, table, gauges, alive

    def collect(self) -> Iterator[Metric]:
        """Return all families."""
        yield from self._channels()
        yield from self._processes()
        for name, values in self._gauges.values().items():
            family = self._gauge(f"metrics_{name}", "Newest value, as in metrics.jsonl.", "process")
            for process, value in values.items():
                family.add_metric([self._wiring.experiment, process], value)
            yield family

    def _channels(self) -> Iterator[Metric]:
        rows = self._table.rows()
        labels = ("channel", "kind", "end", "process")
        depth = self._gauge(
            "channel_depth", "Unacknowledged messages of a sender, waiting readers of a writer.", *labels
        )
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {
            field: CounterMetricFamily(f"surreal_channel_{name}", text, labels=("experiment", *labels))
            for field, (name, text) in COUNTERS.items()
        }
        for field, family in (families | {"depth": depth}).items():
            for row in rows:
                family.add_metric([self._wiring.experiment, *(row[label] for label in labels)], row[field])
            yield family

    def _processes(self) -> Iterator[Metric]:
        """Yield processes planned, alive, and how often each was started."""
        wiring = self._wiring
        planned = self._gauge("processes_planned", "Processes that the role should have.", "role")
        alive = self._gauge("processes_alive", "Processes of the role that are alive.", "role")
        for role, replicas in wiring.replicas.items():
            planned.add_metric([wiring.experiment, role], replicas)
            ourselves = {wiring.index} if role == wiring.role else set()
            alive.add_metric([wiring.experiment, role], len(self._alive(role) | ourselves))
        starts = CounterMetricFamily(
            "surreal_process_starts",
            "Starts of the process since the run was created: the first, restarts and resumes.",
            labels=("experiment", "process"),
        )
        for process, incarnation in self._table.incarnations().items():
            starts.add_metric([wiring.experiment, process], count_starts(incarnation))
        yield from (planned, alive, starts)

    def _gauge(self, name: str, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"surreal_{name}", text, labels=("experiment", *labels))


class Exporter:
    """Serves /metrics from threads of its own."""

    def __init__(self, address: str, collector: Collector) -> None:
        """Listen at once on `address`, host:port. Raises OSError where it cannot."""
        host, _, port = address.rpartition(":")
        registry = CollectorRegistry()
        registry.register(collector)
        self._server = _Server((host, int(port)), lambda: generate_latest(registry))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="surreal-prometheus", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def is_trusted_host(host: str) -> bool:
    """Return True if a Host header is an IP address or localhost, with or without a port."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)|(localhost))(?::[0-9]{1,5})?", host, re.IGNORECASE)
    if not match:
        return False
    try:
        return bool(match[3] or ipaddress.ip_address(match[1] or match[2]))
    except ValueError:
        return False


class _Handler(BaseHTTPRequestHandler):
    """GET /metrics, and nothing else."""

    server: "_Server"
    timeout = READ_TIMEOUT_S

    def do_GET(self) -> None:
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or not is_trusted_host(hosts[0].strip()):
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, b"ask for an IP address or localhost, not for a name\n")
        elif self.path.partition("?")[0] != "/metrics":
            self._answer(HTTPStatus.NOT_FOUND, b"there is /metrics\n")
        else:
            self._answer(HTTPStatus.OK, self.server.render(), CONTENT_TYPE_PLAIN_0_0_4)

    def _refuse(self) -> None:
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET\n")

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse

    def _answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": len(body), "X-Content-Type-Options": "nosniff"}
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "GET"
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "surreal"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: scrapes are frequent."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], render: Callable[[], bytes]) -> None:
        self.render = render
        self._slots = threading.BoundedSemaphore(MAX_REQUESTS)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking the DNS for a name, as HTTPServer would: that can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a peer that hangs up is not our error
            log.exception("internal error while answering Prometheus")
