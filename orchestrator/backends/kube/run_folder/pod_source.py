"""The run folder in a pod that runs: a process beside the worker answers for its files (`worker/file_server.py`)."""

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from surreal.orchestrator.backends.kube.names import RUN_FOLDER, WORKER
from surreal.orchestrator.backends.kube.run_folder.folder import File
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.websocket import (
    OPEN_SECONDS,
    OUTCOME,
    STDERR,
    STDIN,
    STDOUT,
    ClosedError,
    PodSocket,
    connect,
)

COMMAND = ("python3", "-P", "-m", "surreal.protocol.worker.file_server", RUN_FOLDER)
ANSWER_SECONDS = 30.0
OPENING, WHOLE = 2.0, 4.0
"""Times that wait until a connection is open, and until the whole answer is there: none may come byte by byte."""
MOST_BYTES = 64 << 20
"""Most bytes of one answer. The pod's side keeps to 5 MB, but a false answer must not fill the memory here."""


class PodFiles:
    """A `files.Source` in the container `worker` of one pod. Connects with the first question, again after a loss."""

    def __init__(self, api: Api, pod: str, seconds: float = ANSWER_SECONDS) -> None:
        self.pod = pod
        self.time = 0.0
        """The time of its last answer, on the pod's own clock."""
        self._api = api
        self._seconds, self._end = seconds, 0.0
        self._socket: PodSocket | None = None
        self._rest = b""
        self._errors = b""

    def files(self, prefix: str) -> Sequence[File]:
        """See `files.Source`."""
        head, _ = self._ask({"list": prefix})
        return [File(str(name), int(size), float(when), int(inode)) for name, size, when, inode in head["files"]]

    def parts(self, wanted: Sequence[tuple[str, int, int]]) -> list[bytes | None]:
        """See `files.Source`."""
        head, body = self._ask({"read": list(wanted)})
        found: list[bytes | None] = []
        offset = 0
        for size, length in zip(head["sizes"], head["parts"], strict=True):
            found.append(None if size is None else body[offset : offset + length])
            offset += length
        return found

    def close(self) -> None:
        """End the process in the pod."""
        if self._socket:
            self._socket.close()
        self._socket, self._rest, self._errors = None, b"", b""

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return the answer to a request. Raises SurrealError if there is none."""
        fresh = self._socket is None
        try:
            return self._asked(request)
        except ClosedError as error:
            said = self._errors.decode(errors="replace").strip().splitlines()
            self.close()
            if fresh:
                raise SurrealError(
                    f"pod {self.pod}: does not show its files: {said[-1] if said else error}. Look at the pod's log."
                ) from None
        # an idle connection is closed by either side after a while
        return self._ask(request)

    def _asked(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        if not self._socket:
            opening = min(OPEN_SECONDS, OPENING * self._seconds)
            self._socket = connect(self._api, self.pod, "exec", _query(), opening)
        self._end = time.monotonic() + WHOLE * self._seconds
        try:
            with suppress(ClosedError):  # its last words are still to be read
                self._socket.send(STDIN, json.dumps(request).encode() + b"\n")
            line = self._line(self._socket)
            head = json.loads(line)
            self.time = float(head["time"])
            return head, self._bytes(self._socket, int(head["bytes"]))
        except (TimeoutError, ValueError, KeyError, TypeError) as error:
            self.close()
            raise SurrealError(f"pod {self.pod}: does not show its files: {error}. Look at the pod's log.") from None

    def _line(self, socket: PodSocket) -> bytes:
        while b"\n" not in self._rest:
            self._receive(socket)
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _bytes(self, socket: PodSocket, count: int) -> bytes:
        if not 0 <= count <= MOST_BYTES:
            raise ValueError(f"an answer of {count} bytes")
        while len(self._rest) < count:
            self._receive(socket)
        body, self._rest = self._rest[:count], self._rest[count:]
        return body

    def _receive(self, socket: PodSocket) -> None:
        if time.monotonic() > self._end:
            raise TimeoutError(f"its answer is not there after {WHOLE * self._seconds:g} s")
        channel, data = socket.receive(self._seconds)
        if channel == STDOUT:
            self._rest += data
            if len(self._rest) > MOST_BYTES:
                raise ValueError("an answer without end")
        elif channel == STDERR:
            self._errors = (self._errors + data)[-4096:]
        elif channel == OUTCOME:
            raise ClosedError(_outcome(data))


def _outcome(data: bytes) -> str:
    try:
        return str(json.loads(data).get("message") or "it has ended")
    except (ValueError, AttributeError):
        return "it has ended"


def _query() -> list[tuple[str, str]]:
    streams = [(stream, "true") for stream in ("stdin", "stdout", "stderr")]
    return [("container", WORKER), *streams, *(("command", word) for word in COMMAND)]
