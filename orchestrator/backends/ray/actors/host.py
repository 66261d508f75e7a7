"""Host of one process: the Ray actor that has the role's resources and starts the worker as its child.

The child ends with its actor however that ends: it holds the read end of a pipe whose write end is the actor's, and the
actor ends both when the raylet above it is gone, some 15 s before Ray notices that itself.
"""

import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from surreal.orchestrator.backends.ray.actors.child import Child, Order
from surreal.orchestrator.backends.ray.actors.command import Commands
from surreal.orchestrator.backends.ray.actors.files import Files
from surreal.orchestrator.supervision import os_process
from surreal.orchestrator.supervision.usage import measure
from surreal.protocol.machine import files_name
from surreal.protocol.wiring import LONGEST_SOCKET
from surreal.protocol.worker.code_archive import unpack

PREFIX = "surreal-ray-"
RAYLET_SECONDS = 0.5
"""Seconds between two looks whether the raylet lives."""


class Host:
    """One actor. Ray calls its methods in several threads."""

    def __init__(self, supervisor: Any) -> None:
        """Take the handle of the supervisor, which gets the output."""
        self._supervisor = supervisor
        self._child: Child | None = None
        self._commands = Commands()
        _remove_abandoned()
        self._folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self._ports: dict[str, socket.socket] = {}
        self._code = self._run_folder = ""
        threading.Thread(target=self._watch_raylet, name="surreal-raylet", daemon=True).start()

    def land(self, ports: Sequence[str], folder: str, token: str, code: tuple[str, bytes] | None) -> dict[str, Any]:
        """Prepare the process here: take free ports of those names, and unpack its code. Return where this is.

        `shared` is True where the run.json of the run's `folder` is `token`: the supervisor's files are seen here too.
        """
        import ray

        self._run_folder = folder
        ask: Callable[[], str] = ray.util.get_node_ip_address
        ip = ask().strip("[]")
        for name in ports:
            self._ports[name] = _bound(ip)
        if code:
            unpack(code[1], self._folder / "code", code[0])
            self._code = str(self._folder / "code")
        longest = max((len(f"{self._folder}/{name}".encode()) for name in ports), default=0)
        return {
            "ip": ip,
            "node": ray.get_runtime_context().get_node_id(),
            "ports": {name: taken.getsockname()[1] for name, taken in self._ports.items()},
            "shared": _holds(Path(folder, "run.json"), token),
            "machine": files_name() if longest <= LONGEST_SOCKET else "",
            "sockets": str(self._folder),
        }

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """Run the worker until it ends; return how it ended."""
        for taken in self._ports.values():
            taken.close()
        self._ports.clear()
        self._child = Child(Order(**order), self._folder, self._code)
        return self._child.run(self._supervisor)

    def signal(self, number: int) -> None:
        """Send a signal to the worker and its children."""
        if self._child:
            self._child.signal(signal.Signals(number))

    def files(self, below: str) -> dict[str, tuple[int, int, int]]:
        """Return the files of the run folder here whose names begin with `below`: name -> inode, time, bytes."""
        return Files(self._run_folder).files(below)

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return a part of a file of the run folder here."""
        return Files(self._run_folder).read(name, offset, size)

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Take a part of a file of the run folder, from its beginning on."""
        Files(self._run_folder).write(name, offset, data)

    def usage(self) -> tuple[float | None, int | None]:
        """Return the cores and bytes that the worker and its children use, watched for half a second."""
        pid = self._child.pid if self._child else None
        used = measure([pid]).get(pid) if pid else None
        return (used.cpu, used.memory) if used else (None, None)

    def begin(self, command: Sequence[str]) -> int:
        """Start a command with the variables of the worker; return its number. Raises InvalidInput."""
        environment = self._child.environment if self._child else dict(os.environ)
        return self._commands.begin(command, environment, self._folder)

    def printed(self, number: int) -> tuple[bytes, bytes, int | None]:
        """Return what a command printed and its errors since the last call, and its exit code once it has ended."""
        return self._commands.read(number)

    def close(self) -> None:
        """End the worker and leave nothing behind."""
        if self._child:
            self._child.signal(signal.SIGKILL)
        self._commands.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _watch_raylet(self) -> None:
        """End with the raylet: what Ray believes dead must not go on sending."""
        raylet = os.getppid()
        while os.getppid() == raylet:
            time.sleep(RAYLET_SECONDS)
        self.close()
        os._exit(1)


def _bound(ip: str) -> socket.socket:
    """Return a socket that holds a free port until the worker takes it."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    taken = socket.socket(family)
    taken.bind((ip, 0))
    return taken


def _holds(path: Path, token: str) -> bool:
    try:
        return path.read_text() == token
    except OSError:
        return False


def _remove_abandoned() -> None:
    """Remove the folders, with their keys, of hosts of ours that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError, ValueError):
            pid = int(path.name.removeprefix(PREFIX).partition("-")[0])
            if path.stat().st_uid == os.getuid() and os_process.born(pid) is None:
                shutil.rmtree(path, ignore_errors=True)
