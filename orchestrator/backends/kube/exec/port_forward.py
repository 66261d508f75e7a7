"""Ports of a process, on this machine: each connection to a local port becomes one to the process's pod."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from surreal.orchestrator.backends.kube.exec.command import running_pod
from surreal.orchestrator.backends.kube.run_folder.locate import runs
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.objects import clip, name_of
from surreal.provisioner.kube.websocket import PodSocket, connect

LOOPBACK = "127.0.0.1"
DATA, ERROR = 0, 1
"""The two channels of one forwarded port; each begins with a message of the port's number."""
LOOK_SECONDS = 2.0
"""Seconds between two checks that the pod still runs."""
ANSWER_SECONDS = 5.0
"""Seconds for an answer to a client that sends no more."""
BLOCK = 32 * 1024


def forward(api: Api, snapshot: Snapshot, source: str, local: int, remote: int, ready: Callable[[int], None]) -> None:
    """Forward a port of this machine alone (`local`, 0: any free one) to `remote` of the process, until its pod ends.

    `ready` is told the local port. Raises InvalidInput where the process does not run or the local port is taken.
    """
    pod = name_of(running_pod(snapshot, source))
    with _listen(local) as listener:
        ready(listener.getsockname()[1])
        listener.settimeout(LOOK_SECONDS)
        while True:
            try:
                client, _ = listener.accept()
            except TimeoutError:
                if not _lives(api, pod):
                    api.talk(f"{source} has ended, or is being replaced (pod {pod}): nothing more to forward to")
                    return
                continue
            threading.Thread(target=_serve, args=(api, pod, source, client, remote), daemon=True).start()


def _lives(api: Api, pod: str) -> bool:
    """Return whether the pod still runs; True where the API server does not answer now."""
    try:
        found = api.find("Pod", pod)
    except SurrealError:
        return True
    return found is not None and runs(found)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as error:
        raise InvalidInput(
            f"port {port}: of this machine cannot be used: {error.strerror}. Name another: LOCAL:REMOTE"
        ) from None


def _serve(api: Api, pod: str, source: str, client: socket.socket, remote: int) -> None:
    """Serve one connection to its end."""
    with client:
        try:
            there = connect(api, pod, "portforward", [("ports", str(remote))])
        except SurrealError as error:
            api.talk(str(error))
            return
        done = threading.Event()
        threading.Thread(target=_upload, args=(client, there, done), daemon=True).start()
        try:
            _download(api, client, there, f"port {remote} of {source}", done)
        finally:
            there.close()
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)


def _upload(client: socket.socket, there: PodSocket, done: threading.Event) -> None:
    with suppress(SurrealError, OSError):
        while data := client.recv(BLOCK):
            there.send(DATA, data)
    done.set()


def _download(api: Api, client: socket.socket, there: PodSocket, what: str, done: threading.Event) -> None:
    """Pass on what the process sends. The API cannot say that the client has sent all: an answer may still come."""
    begun: set[int] = set()
    with suppress(SurrealError, OSError):
        while True:
            try:
                channel, data = there.receive(ANSWER_SECONDS)
            except TimeoutError:
                if done.is_set():
                    return
                continue
            if channel not in begun:
                begun.add(channel)  # the port's number
            elif channel == DATA:
                client.sendall(data)
            elif channel == ERROR:
                api.talk(f"nothing answers at {what}: {clip(data.decode(errors='replace'))}")
                return
