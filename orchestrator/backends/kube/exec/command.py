"""Running a command in the pod of a process: `surreal exec`, on a terminal or on pipes."""

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from surreal.orchestrator.backends.kube.names import WORKER
from surreal.orchestrator.backends.kube.run_folder.locate import runs
from surreal.orchestrator.backends.kube.status.explain import reasons
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.run.log_files import choose_sources
from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.protocol.graph import role_of
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import clip, name_of
from surreal.provisioner.kube.websocket import OUTCOME, RESIZE, STDERR, STDIN, STDOUT, ClosedError, PodSocket, connect

BLOCK = 32 * 1024


def running_pod(snapshot: Snapshot, wanted: str) -> Object:
    """Return the pod of ROLE/INDEX, or of the first process of ROLE that runs.

    Raises NotFound for a process that the run does not have, InvalidInput, with the reason, for one that does not run.
    """
    if not snapshot.plan:
        raise InvalidInput(
            f"{snapshot.name}: is over and its pods are gone. Read its logs: surreal logs {snapshot.name}"
        )
    known = snapshot.plan.processes()
    chosen = choose_sources(snapshot.name, known, wanted)
    role = role_of(wanted)
    for index, pods in sorted(snapshot.pods_of(role).items()):
        if f"{role}/{index}" in chosen and runs(pods[-1]):
            return pods[-1]
    why = reasons(snapshot).get(role, "")
    raise InvalidInput(
        f"{wanted} of {snapshot.name}: does not run now{f': {why}' if why else ''}. "
        f"Look at it: surreal status {snapshot.name}"
    )


def execute(api: Api, snapshot: Snapshot, source: str, command: Sequence[str], tty: bool) -> int:
    """Run a command beside the process `source`, with this process's stdin, stdout and stderr: its exit code.

    On a terminal (`tty`) every key goes there, Ctrl-C too. Raises InvalidInput where nothing runs or no such command
    is in the image, SurrealError when the connection is lost.
    """
    pod = running_pod(snapshot, source)
    socket = connect(api, name_of(pod), "exec", _query(command, tty))
    try:
        with _terminal(socket) if tty else _pipes(socket):
            outcome = _relay(socket)
    except ClosedError as error:
        raise SurrealError(
            f"{source}: the connection was lost ({error}). "
            f"See whether it was stopped or is being replaced: surreal status {snapshot.name}"
        ) from None
    finally:
        socket.close()
    return _exit_code(outcome, source, command)


def _query(command: Sequence[str], tty: bool) -> list[tuple[str, str]]:
    streams = ["stdin", "stdout", "tty" if tty else "stderr"]
    return [("container", WORKER), *((stream, "true") for stream in streams), *(("command", word) for word in command)]


def _relay(socket: PodSocket) -> bytes:
    """Print what comes until the command ends; what the cluster says of its end."""
    outputs = {STDOUT: sys.stdout.buffer, STDERR: sys.stderr.buffer}
    while True:
        channel, data = socket.receive()
        if channel == OUTCOME:
            return data
        if channel in outputs:
            outputs[channel].write(data)
            outputs[channel].flush()


def _send_input(socket: PodSocket) -> None:
    """Pass on our stdin until it ends."""
    with suppress(ClosedError, OSError):
        while data := os.read(0, BLOCK):
            socket.send(STDIN, data)
        socket.end(STDIN)


@contextmanager
def _pipes(socket: PodSocket) -> Iterator[None]:
    # it may wait in a read for ever, and ends with this process
    threading.Thread(target=_send_input, args=(socket,), daemon=True).start()
    yield


@contextmanager
def _terminal(socket: PodSocket) -> Iterator[None]:
    """Our terminal as the command's own: key by key, without echo, and of the same size."""
    import termios
    import tty

    def resize(*_signal: object) -> None:
        size = shutil.get_terminal_size()
        with suppress(ClosedError):
            socket.send(RESIZE, json.dumps({"Width": size.columns, "Height": size.lines}).encode())

    before = termios.tcgetattr(0)
    handler = signal.signal(signal.SIGWINCH, resize)
    try:
        tty.setraw(0, termios.TCSADRAIN)  # what was typed ahead is kept
        resize()
        with _pipes(socket):
            yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, handler)


def _exit_code(outcome: bytes, source: str, command: Sequence[str]) -> int:
    """Return the exit code in a Status object. Raises InvalidInput for a command that did not start."""
    try:
        status = json.loads(outcome)
        if status["status"] == "Success":
            return 0
        causes = {each.get("reason"): each.get("message") for each in (status.get("details") or {}).get("causes") or ()}
        if "ExitCode" in causes:
            return int(causes["ExitCode"])
        words = str(status["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SurrealError(
            f"{source}: gives no readable exit code of {command[0]}: {outcome[:200]!r}. See its output."
        ) from None
    if "executable file not found" in words or "no such file" in words:
        raise InvalidInput(f"no {command[0]!r} in the image of {source}. Name a program that it has.")
    raise SurrealError(f"{command[0]}: did not start in the pod of {source}: {clip(words)}. Correct it and try again.")
