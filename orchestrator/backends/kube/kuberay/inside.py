"""Commands on the head of a run: what only its supervisor can do, asked by `exec`."""

from surreal.orchestrator.backends.kube.kuberay.render import DRIVER
from surreal.orchestrator.backends.kube.names import WORKER
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.objects import clip
from surreal.provisioner.kube.websocket import OUTCOME, STDERR, ClosedError, connect

STOP_SECONDS = 120.0
"""Seconds for all processes to save and end, with the start of Python and Ray on the head."""
MOST_BYTES = 4096


def ask_to_stop(api: Api, pod: str, name: str) -> None:
    """Have every process of a run save and end; returns when all are gone. Raises SurrealError with its last words."""
    command = ("python3", "-P", "-m", DRIVER, name, "--stop")
    socket = connect(api, pod, "exec", _query(command))
    words = b""
    try:
        while True:
            channel, data = socket.receive(STOP_SECONDS)
            if channel == OUTCOME:
                break
            words = (words + data)[-MOST_BYTES:] if channel == STDERR else words
    except (ClosedError, TimeoutError) as error:
        raise SurrealError(f"{name}: its head does not say that all processes ended: {error}. Try again.") from None
    finally:
        socket.close()
    if b'"Success"' not in data:
        said = clip(words.decode(errors="replace"))
        raise SurrealError(f"{name}: its supervisor does not stop it: {said}. Try again.")


def _query(command: tuple[str, ...]) -> list[tuple[str, str]]:
    streams = [(stream, "true") for stream in ("stdout", "stderr")]
    return [("container", WORKER), *streams, *(("command", word) for word in command)]
