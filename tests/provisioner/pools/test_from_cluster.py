"""Asking a cluster: the real client against a small API server that sends recorded lists in pages."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.provisioner.kube import client
from surreal.provisioner.machine_types import machine_table
from surreal.provisioner.pools.from_nodes import live_pools

RECORDED = json.loads((Path(__file__).parent / "data/nodes/gke.json").read_text())
TABLE = machine_table()


class Api(BaseHTTPRequestHandler):
    """Lists in pages of `limit`; `forbidden` paths are answered with 403."""

    lists: dict[str, list[dict[str, Any]]] = {}
    forbidden: set[str] = set()

    def do_GET(self) -> None:
        url = urlparse(self.path)
        if url.path in self.forbidden:
            self._answer(403, {"kind": "Status", "reason": "Forbidden"})
            return
        asked = parse_qs(url.query)
        start, limit = int(asked.get("continue", ["0"])[0]), int(asked["limit"][0])
        items, end = self.lists[url.path], start + limit
        metadata = {"continue": str(end)} if end < len(items) else {}
        self._answer(200, {"metadata": metadata, "items": items[start:end]})

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


@contextmanager
def cluster(folder: Path, monkeypatch: pytest.MonkeyPatch, *forbidden: str) -> Iterator[None]:
    """A cluster with the recorded nodes and pods, and a kubeconfig that names it."""
    lists = {"/api/v1/nodes": RECORDED["nodes"], "/api/v1/pods": RECORDED["pods"]}
    api = type("OneApi", (Api,), {"lists": lists, "forbidden": set(forbidden)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), api)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    kubeconfig(folder, monkeypatch, f"http://127.0.0.1:{server.server_port}")
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def kubeconfig(folder: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "me"}}],
        "clusters": [{"name": "lab", "cluster": {"server": address}}],
        "users": [{"name": "me", "user": {"token": "t"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(document))
    monkeypatch.setenv("KUBECONFIG", str(path))


def test_the_pools_of_a_cluster_are_read_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAGE", 2)
    with cluster(tmp_path, monkeypatch):
        pools = {pool.name: pool.nodes for pool in live_pools(TABLE)}
    assert pools == {"actors": 2, "default-pool": 2, "learners": 1}


def test_who_may_not_list_pods_still_sees_the_pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster(tmp_path, monkeypatch, "/api/v1/pods"):
        pools = live_pools(TABLE, "lab")
    assert len(pools) == 3
    assert all(pool.to_data()["used"] is None for pool in pools)


def test_who_may_not_list_nodes_is_told_what_to_ask_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster(tmp_path, monkeypatch, "/api/v1/nodes"), pytest.raises(SurrealError, match="you may not list"):
        live_pools(TABLE)


def test_a_context_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeconfig(tmp_path, monkeypatch, "http://127.0.0.1:1")
    with pytest.raises(InvalidInput, match="no context 'lap' in .*did you mean 'lab'.*there is: lab"):
        live_pools(TABLE, "lap")


def test_a_cluster_that_does_not_answer_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeconfig(tmp_path, monkeypatch, "http://127.0.0.1:1")
    with pytest.raises(SurrealError, match="no API server answers at"):
        live_pools(TABLE)


def test_without_a_kubeconfig_there_is_a_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(InvalidInput, match="no kubeconfig at .*/none.*surreal cluster up FILE"):
        live_pools(TABLE)
