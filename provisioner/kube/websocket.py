"""Connections into a pod: `exec` and `portforward` of the API server, over websockets in bytes.

Each message is one byte, the number of a channel, and data. The client library's own wrappers start threads, decode
text or change the client while they connect, so they serve one connection at a time; this serves many.
"""

import json
import select
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api

STDIN, STDOUT, STDERR, OUTCOME, RESIZE = range(5)
"""The channels of `exec`."""
CLOSE = 255
"""The channel of version 5 which tells that the channel in the first byte of the data has ended."""
OPEN_SECONDS = 30.0
"""The API server answers only when the container's runtime has."""
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
BINARY, CLOSED = 2, 8
"""Operation codes of websockets (RFC 6455)."""


class ClosedError(SurrealError):
    """The other side has closed the connection, or it is lost."""


class PodSocket:
    """One open connection. Sending and receiving may each be done by one thread at the same time."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        socket.settimeout(None)
        self._version5 = socket.getsubprotocol() == PROTOCOLS[0]

    def send(self, channel: int, data: bytes) -> None:
        """Send data on a channel. Raises ClosedError."""
        from websocket import WebSocketException

        try:
            self._socket.send_binary(bytes((channel,)) + data)
        except (WebSocketException, OSError) as error:
            raise ClosedError(f"the connection is lost: {error}") from None

    def receive(self, seconds: float | None = None) -> tuple[int, bytes]:
        """Return channel and data of the next message. Raises ClosedError at the end, TimeoutError after `seconds`."""
        from websocket import WebSocketException

        try:
            while True:
                if seconds is not None and not self._has_data(seconds):
                    raise TimeoutError(f"nothing came for {seconds:g} s")
                code, frame = self._socket.recv_data_frame(True)
                if code == CLOSED:
                    raise ClosedError("the connection was closed")
                if code <= BINARY and frame.data:
                    return frame.data[0], bytes(frame.data[1:])
        except TimeoutError:
            raise
        except (WebSocketException, OSError, ValueError, AttributeError) as error:
            # the library has no socket any more (AttributeError) once another thread has closed it
            raise ClosedError(f"the connection is lost: {error}") from None

    def _has_data(self, seconds: float) -> bool:
        """Return whether data comes within so many seconds. A time limit of the socket would hold for sending, too."""
        plain = self._socket.sock
        waiting = getattr(plain, "pending", None)  # decrypted already
        return bool((waiting and waiting()) or select.select([plain], [], [], seconds)[0])

    def end(self, channel: int) -> None:
        """Say that no more data comes on a channel; a server that speaks version 4 cannot be told."""
        if self._version5:
            self.send(CLOSE, bytes((channel,)))

    def close(self) -> None:
        """Close it at once."""
        self._socket.shutdown()


def connect(
    api: Api, pod: str, action: str, query: Sequence[tuple[str, str]], seconds: float = OPEN_SECONDS
) -> PodSocket:
    """Open `exec` or `portforward` of a pod within so many seconds. Raises SurrealError with the API server's words."""
    from websocket import WebSocket, WebSocketBadStatusException, WebSocketException

    settings = api.client.configuration
    host = str(settings.host).replace("http", "ws", 1)
    url = f"{host}/api/v1/namespaces/{api.namespace}/pods/{pod}/{action}?{urlencode(query)}"
    auth = [f"{name}: {value}" for name, value in api.headers()]
    socket: Any = WebSocket(sslopt=_tls(settings), skip_utf8_validation=True)
    protocols = [PROTOCOLS[1]] if action == "portforward" else list(PROTOCOLS)
    try:
        socket.connect(url, header=auth, subprotocols=protocols, timeout=seconds, **_proxy(settings))
    except WebSocketBadStatusException as error:
        raise SurrealError(_refusal(api, pod, action, error.status_code, error.resp_body)) from None
    except (WebSocketException, OSError) as error:
        raise SurrealError(
            f"pod {pod}: the API server of context {api.context} opens no {action} of it: {error}. Try again."
        ) from None
    return PodSocket(socket)


def _tls(settings: Any) -> dict[str, Any]:
    """Return the kubeconfig's certificates, in the spelling of the websocket library."""
    import ssl

    options: dict[str, Any] = {"cert_reqs": ssl.CERT_REQUIRED if settings.verify_ssl else ssl.CERT_NONE}
    if not settings.verify_ssl or settings.assert_hostname is not None:
        options["check_hostname"] = bool(settings.verify_ssl and settings.assert_hostname)
    given = {
        "ca_certs": settings.ssl_ca_cert,
        "certfile": settings.cert_file,
        "keyfile": settings.key_file,
        "server_hostname": settings.tls_server_name,
    }
    return options | {key: value for key, value in given.items() if value}


def _proxy(settings: Any) -> dict[str, Any]:
    """Return the proxy of the kubeconfig's cluster, else those of the environment."""
    from urllib.parse import urlparse

    if not settings.proxy:
        return {}
    proxy = urlparse(settings.proxy)
    name = {"http_proxy_auth": (proxy.username, proxy.password)} if proxy.username else {}
    kind = {"proxy_type": proxy.scheme} if proxy.scheme.startswith("socks") else {}
    return {"http_proxy_host": proxy.hostname, "http_proxy_port": proxy.port, **kind, **name}


def _refusal(api: Api, pod: str, action: str, status: int, body: bytes | None) -> str:
    """Return the reason why the API server opens no connection."""
    try:
        words = str(json.loads(body or b"")["message"])
    except (ValueError, TypeError, KeyError):
        words = f"HTTP {status}"
    if status == 401:
        return f"credentials of context {api.context} are not valid (any more): log in again; the run is not affected"
    if status == 403:
        return f"you may not use {action} in namespace {api.namespace}: ask for `get` and `create` on pods/{action}"
    if status == 404:
        return f"pod {pod} is gone; another takes its place if the run goes on: try again"
    return f"no {action} of pod {pod}: {words}"
