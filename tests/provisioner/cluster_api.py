"""A Kubernetes API server as far as these tests need one, and a kubeconfig that leads to it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any


class Api:
    """What the server holds and was sent."""

    def __init__(self) -> None:
        self.pods: list[dict[str, Any]] = []
        self.sent: list[tuple[str, str, Any]] = []
        self.volumes: list[dict[str, Any]] = []
        self.refusal: tuple[int, str] | None = None

    def add_pod(self, experiment: str, name: str) -> None:
        """A running pod of an experiment."""
        labels = {"app.kubernetes.io/managed-by": "surreal", "app.kubernetes.io/instance": experiment}
        self.pods.append({"metadata": {"name": name, "namespace": "default", "labels": labels}})

    def add_volume(self, claim: str, size: str, disk: str) -> None:
        """A volume with a disk at a cloud, of a claim in namespace `lab`."""
        spec = {
            "capacity": {"storage": size},
            "claimRef": {"namespace": "lab", "name": claim},
            "csi": {"volumeHandle": disk},
        }
        self.volumes.append({"metadata": {"name": f"pvc-{disk}"}, "spec": spec})


@contextmanager
def cluster_api(kubeconfig: Path, *contexts: str) -> Iterator[Api]:
    """A server for as long as the block lasts, reached by each of `contexts`."""
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            api.sent.append((method, self.path, json.loads(body) if body else None))
            status = 200
            items = api.volumes if "persistentvolumes" in self.path else api.pods
            answer: dict[str, Any] = {"items": items, "metadata": {}}
            if api.refusal:
                status, answer = api.refusal[0], {"kind": "Status", "message": api.refusal[1]}
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self._answer("GET")

        def do_PATCH(self) -> None:
            self._answer("PATCH")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        kubeconfig.write_text(json.dumps(_kubeconfig(f"http://127.0.0.1:{server.server_port}", contexts)))
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _kubeconfig(address: str, contexts: tuple[str, ...]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in contexts],
        "current-context": contexts[0],
    }
