"""A Kubernetes API server on a port of this machine, for tests: a `Store` behind HTTP, with faults on demand.

    with api_server(tmp_path) as server:          # also writes a kubeconfig
        api = server.api()                        # an Api that waits for nothing between its tries
        server.fault(503, verb="POST", kind="Job")            # the next POST of a Job
        server.fault("reset", nth=3)                          # the third request from now, whatever it is
        server.fault("lost", verb="POST")                     # done, but the answer never arrives
        server.store.rules.allowed = {("get", "pods")}        # a Role
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))   # for tests of commands

`server.requests` has all requests as (method, path). `server.paths["/version"]` may be changed; `server.logs[POD]` is a
function from the query to the parts of a pod's log. Faults: a status, "reset" (before it is done), "lost" (after),
"silence" (no answer until the server ends). `server.mix(...)` makes a share of all requests fail, and
`with server.away():` is an outage.
"""

import json
import random
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import KINDS, Kind, Object
from surreal.provisioner.kube.kubeconfig import access
from surreal.provisioner.kube.transport import Transport
from tests.orchestrator.kube.apistore import Failure, Store, store

NAMESPACE, CONTEXT = "lab", "double"
VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete"}
REASONS = {
    401: "Unauthorized",
    409: "Conflict",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


@dataclass
class Fault:
    """What happens to some of the next requests that match."""

    what: int | str
    nth: int = 1
    times: int = 1
    verb: str | None = None
    kind: str | None = None
    message: str = "injected"
    headers: dict[str, str] = field(default_factory=dict)
    seen: int = 0

    def hits(self, verb: str, kind: str) -> bool:
        if self.verb not in (None, verb) or self.kind not in (None, kind):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


class Server:
    """The server of a test."""

    def __init__(self, held: Store, kubeconfig: Path, address: str) -> None:
        self.store = held
        self.kubeconfig = kubeconfig
        self.address = address
        self.requests: list[tuple[str, str]] = []
        self.tokens: set[str] | None = None
        """Bearer tokens that are accepted; None accepts everybody."""
        self.paths: dict[str, Object] = {"/version": {"gitVersion": "v1.36.0", "major": "1", "minor": "36"}}
        self.logs: dict[str, Callable[[dict[str, str]], Iterable[bytes]]] = {}
        self.warning = ""
        """What every answer warns of."""
        self.unknown: set[str] = {"JobSet", "RayJob", "Workload", "LocalQueue", "PodMetrics", "NodeMetrics"}
        """Kinds whose definitions this cluster lacks."""
        self.ended = threading.Event()
        self.silent = threading.Event()
        """Set once a request is met with silence."""
        self.pauses: list[float] = []
        """What the Apis of this server waited between their tries."""
        self.said: list[str] = []
        """What they told the person."""
        self.connections: set[socket.socket] = set()
        """Those that are open now."""
        self.gone = threading.Event()
        """Set while the server is away."""
        self._faults: list[Fault] = []
        self._share = 0.0
        self._mixed: tuple[int | str, ...] = ()
        self._dice = random.Random(0)
        self._lock = threading.Lock()

    def api(self, namespace: str = NAMESPACE, pause: Callable[[float], None] | None = None) -> Api:
        """A new client, which waits as `pause` says: until something changes, and hardly at all."""
        transport = Transport(lambda: access(str(self.kubeconfig), CONTEXT, namespace), self.said.append)
        return Api(transport, self.said.append, pause or self._pause)

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        with self.store.changed:
            self.store.changed.wait(0.005)

    def fault(self, what: int | str, **when: Any) -> None:
        """Have a request fail; see Fault for when."""
        self._faults.append(Fault(what, **when))

    @contextmanager
    def away(self) -> Iterator[None]:
        """No server for as long as the block lasts: open connections end, and new ones are refused."""
        self.gone.set()
        for each in list(self.connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        try:
            yield
        finally:
            self.gone.clear()

    def mix(self, share: float, *what: int | str, seed: int) -> None:
        """Have so large a share of all requests fail from now on, in one of these ways."""
        self._share, self._mixed, self._dice = share, what, random.Random(seed)

    def writes(self) -> list[tuple[str, str]]:
        """The requests that would change something."""
        reviews = ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")
        return [each for each in self.requests if each[0] != "GET" and not each[1].endswith(reviews)]

    def trouble(self, verb: str, kind: str) -> Fault | None:
        """What happens to this request."""
        with self._lock:
            for each in self._faults:
                if each.hits(verb, kind):
                    return each
            if self._dice.random() < self._share:
                return Fault(self._dice.choice(self._mixed))
            return None


@contextmanager
def api_server(
    folder: Path, certificate: tuple[Path, Path] | None = None, token: str | None = None, **options: Any
) -> Iterator[Server]:
    """A server with the namespace NAMESPACE for as long as the block lasts; `options` are the store's.

    `certificate` (certificate and key, PEM) makes it speak TLS, which the kubeconfig then does not trust.
    """
    with store(**options) as held:
        held.create("Namespace", "", {"metadata": {"name": NAMESPACE}, "status": {"phase": "Active"}}, "test", False)
        http = _Http(("127.0.0.1", 0), _Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            http.socket = context.wrap_socket(http.socket, server_side=True)
        address = f"http{'s' if certificate else ''}://127.0.0.1:{http.server_port}"
        server = http.double = Server(held, folder / "kubeconfig", address)
        write_kubeconfig(server.kubeconfig, address, token)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            http.shutdown()
            http.server_close()
            thread.join()


def write_kubeconfig(path: Path, address: str, token: str | None = None) -> None:
    """A kubeconfig with one context, CONTEXT."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "contexts": [{"name": CONTEXT, "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE}}],
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "users": [{"name": "u", "user": {"token": token} if token else {}}],
    }
    path.write_text(json.dumps(document))


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 200
    double: Server

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection, unless the server is away."""
        self.double.connections.add(request)
        if self.double.gone.is_set():
            reset(request)
            self.double.connections.discard(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        self.double.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Http

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PATCH = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def _serve(self) -> None:
        double = self.server.double
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlparse(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        double.requests.append((self.command, url.path))
        kind, namespace, name, sub = _parse(url.path)
        trouble = double.trouble(self.command, kind)
        if trouble and trouble.what == "reset":
            return self._reset()
        if trouble and trouble.what == "silence":
            double.silent.set()
            double.ended.wait()
            return self._reset()
        try:
            if trouble and isinstance(trouble.what, int):
                raise _injected(trouble, trouble.what)
            self._authorise(kind, namespace, name, sub, query)
            status, document = self._answer(kind, namespace, name, sub, query, json.loads(raw) if raw else {})
            headers: dict[str, str] = {}
        except Failure as failure:
            status, document, headers = failure.status, failure.body, failure.headers
        if trouble and trouble.what == "lost":
            return self._reset()
        if document is not None:
            self._send(status, document, headers)

    def _authorise(self, kind: str, namespace: str, name: str, sub: str, query: dict[str, str]) -> None:
        double = self.server.double
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if double.tokens is not None and token not in double.tokens:
            raise Failure(401, "Unauthorized", "Unauthorized")
        if not kind:
            return
        verb = VERBS[self.command]
        if verb == "get" and not name:
            verb = "watch" if "watch" in query else "list"
        if verb == "delete" and not name:
            verb = "deletecollection"
        resource = KINDS[kind].plural + (f"/{sub}" if sub else "")
        if not double.store.rules.allows(verb, resource):
            group, user = KINDS[kind].group, double.store.rules.user
            where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
            own = f' "{name}"' if name else ""
            words = f'User "{user}" cannot {verb} resource "{resource}" in API group "{group}"{where}'
            details = {"name": name, "group": group, "kind": resource}
            raise Failure(403, "Forbidden", f"{resource}{own} is forbidden: {words}", **details)

    def _answer(
        self, kind: str, namespace: str, name: str, sub: str, query: dict[str, str], body: Object
    ) -> tuple[int, Object | None]:
        double = self.server.double
        held = double.store
        if not kind or kind in double.unknown:
            if self.path in double.paths:
                return 200, double.paths[self.path]
            raise Failure(404, "NotFound", "the server could not find the requested resource")
        dry = query.get("dryRun") == "All"
        manager = query.get("fieldManager", "unknown")
        match self.command:
            case "GET" if sub == "log":
                return self._log(name, query)
            case "GET" if name:
                return 200, held.get(kind, namespace, name)
            case "GET" if "watch" in query:
                return self._watch(kind, namespace, query)
            case "GET":
                return 200, self._page(kind, namespace, query)
            case "POST" if kind.startswith("SelfSubject"):
                return 201, _review(double, kind, body)
            case "POST":
                return 201, held.create(kind, namespace, body, manager, dry)
            case "PATCH" if "apply-patch" in self.headers["Content-Type"]:
                there = any(key == (kind, namespace, name) for key in list(held.objects))
                force = query.get("force") == "true"
                return 200 if there else 201, held.apply(kind, namespace, name, body, manager, force, dry)
            case "PATCH":
                return 200, held.patch(kind, namespace, name, body, manager, dry)
        if not name:
            return self._delete_all(kind, namespace, query)
        uid = (body.get("preconditions") or {}).get("uid")
        held.delete(kind, namespace, name, body.get("propagationPolicy", "Background"), uid)
        return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}

    def _delete_all(self, kind: str, namespace: str, query: dict[str, str]) -> tuple[int, Object]:
        held = self.server.double.store
        found = [each for each in held.all_of(kind, namespace)[0] if _selected(each, query)]
        for each in found:
            # one that is gone by now is no failure
            with suppress(Failure):
                held.delete(kind, namespace, each["metadata"]["name"], "Background", None)
        return 200, {"kind": f"{kind}List", "apiVersion": KINDS[kind].version, "metadata": {}, "items": found}

    def _page(self, kind: str, namespace: str, query: dict[str, str]) -> Object:
        held = self.server.double.store
        items, version = held.all_of(kind, namespace or None)
        found = [each for each in items if _selected(each, query)]
        start, about = 0, {"resourceVersion": str(version)}
        if token := query.get("continue"):
            of, start = (int(part) for part in token.split("-"))
            if of < held.forgotten:
                raise Failure(410, "Expired", "The provided continue parameter is too old")
        end = start + int(query.get("limit") or len(found) + 1)
        if end < len(found):
            about["continue"] = f"{version}-{end}"
        plain = [{key: value for key, value in each.items() if key not in ("kind", "apiVersion")} for each in found]
        return {"kind": f"{kind}List", "apiVersion": KINDS[kind].version, "metadata": about, "items": plain[start:end]}

    def _watch(self, kind: str, namespace: str, query: dict[str, str]) -> tuple[int, None]:
        self._begin_stream("application/json")
        seconds = float(query.get("timeoutSeconds") or 60)
        events = self.server.double.store.events(kind, namespace or None, int(query["resourceVersion"]), seconds)
        try:
            for what, each, before in events:
                now, then = _selected(each, query), before is not None and _selected(before, query)
                # an object whose labels change is made or deleted, for who watches by label
                told = what if now and then else "ADDED" if now else "DELETED"
                if now or then:
                    self._part(json.dumps({"type": told, "object": each}).encode() + b"\n")
        except Failure as failure:
            self._part(json.dumps({"type": "ERROR", "object": failure.body}).encode() + b"\n")
        self._part(b"")
        return 200, None

    def _log(self, pod: str, query: dict[str, str]) -> tuple[int, None]:
        double = self.server.double
        double.store.get("Pod", NAMESPACE, pod)
        self._begin_stream("text/plain")
        if pod in double.logs:
            for part in double.logs[pod](query):
                self._part(part)
        self._part(b"")
        return 200, None

    def _begin_stream(self, form: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", form)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def _part(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _send(self, status: int, document: Object, headers: dict[str, str]) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        for key, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(key, value)
        if warning := self.server.double.warning.replace('"', '\\"'):
            self.send_header("Warning", f'299 - "{warning}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _reset(self) -> None:
        self.close_connection = True
        reset(self.connection)


def reset(connection: socket.socket) -> None:
    """End a connection by RST, as a proxy that dies does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _parse(path: str) -> tuple[str, str, str, str]:
    """(kind, namespace, name, subresource) of a path; no kind for a path that is none of an object."""
    parts = path.strip("/").split("/")
    version, rest = ("v1", parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    plural, name, sub = (*rest, "", "", "")[:3]
    found = [kind for kind, what in KINDS.items() if what == Kind(version, plural, what.namespaced)]
    return (found[0] if found else "", namespace, name, sub)


def _selected(each: Object, query: dict[str, str]) -> bool:
    labels = each["metadata"].get("labels") or {}
    for term in filter(None, query.get("labelSelector", "").split(",")):
        key, sign, value = term.partition("=")
        if key not in labels or (sign and labels[key] != value):
            return False
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        key, _, value = term.partition("!=") if "!=" in term else term.partition("=")
        there: Any = each
        for part in key.split("."):
            there = (there or {}).get(part, "")
        if (there == value) == ("!=" in term):
            return False
    return True


def _injected(trouble: Fault, status: int) -> Failure:
    failure = Failure(status, REASONS.get(status, "Unknown"), trouble.message)
    failure.headers = trouble.headers
    return failure


def _review(double: Server, kind: str, body: Object) -> Object:
    rules = double.store.rules
    if kind == "SelfSubjectReview":
        return {**body, "status": {"userInfo": {"username": rules.user, "groups": ["system:authenticated"]}}}
    if kind == "SelfSubjectAccessReview":
        asked = body["spec"]["resourceAttributes"]
        resource = asked["resource"] + (f"/{asked['subresource']}" if asked.get("subresource") else "")
        return {**body, "status": {"allowed": rules.allows(asked["verb"], resource)}}
    everything = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    groups = {kind.plural: kind.group for kind in reversed(KINDS.values())}
    some = [
        {"verbs": [verb], "apiGroups": [groups[resource.partition("/")[0]]], "resources": [resource]}
        for verb, resource in sorted((rules.allowed if rules.shown is None else rules.shown) or ())
    ]
    found = everything if rules.allowed is None else some
    return {**body, "status": {"resourceRules": found, "nonResourceRules": [], "incomplete": False}}
