"""A Ray on this machine alone, for `--on ray` without an address: dashboard off, token on, no report of use.

It outlives the command that starts it, as a run does, and ends when the last run in it is deleted. Its token lies in
SURREAL_HOME, since a token in Ray's own place would change what every later Ray of this user demands.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from surreal.orchestrator.backends.ray.connection.address import MODE_VARIABLE, TOKEN_FILE_VARIABLE, TOKEN_VARIABLE
from surreal.orchestrator.run import home
from surreal.orchestrator.supervision import os_process
from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.provisioner.pools.local import usable_cores, usable_memory

READY = "Ray runtime started"
START_SECONDS = 90.0
"""Seconds for a start; 5 to 10 are usual, and a busy machine takes longer."""
STOP_SECONDS = 15.0
STORE_BYTES = 80_000_000
"""Bytes of the object store, which carries no data of ours; Ray takes no less."""
SHARE = 64
"""Processes that may share a core, as in a run without Ray: here Ray must not keep them waiting."""


@dataclass(frozen=True)
class OwnRay:
    """A Ray that surreal started here."""

    address: str
    pid: int
    """Its first process, which ends the others when it gets SIGTERM."""
    born: str

    def use_token(self) -> None:
        """Have this process send its token."""
        os.environ.pop(TOKEN_VARIABLE, None)
        os.environ.update({MODE_VARIABLE: "token", TOKEN_FILE_VARIABLE: str(_token())})

    def stop(self) -> None:
        """End it and all its processes."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if os_process.is_alive(self.pid, self.born):
                os_process.signal_group(self.pid, number)
            deadline = time.monotonic() + STOP_SECONDS
            while os_process.is_alive(self.pid, self.born) and time.monotonic() < deadline:
                time.sleep(0.1)
        _note().unlink(missing_ok=True)


def running() -> OwnRay | None:
    """Return the Ray that surreal started here, if it still runs."""
    try:
        own = OwnRay(**home.read_json(_note()))
    except (OSError, ValueError, TypeError):
        return None
    return own if os_process.is_alive(own.pid, own.born) else None


def absent() -> bool:
    """Return True where surreal has no Ray of its own here."""
    return running() is None


def end() -> None:
    """End the Ray that surreal started here, if it runs."""
    if own := running():
        own.stop()


def start() -> OwnRay:
    """Start one and return it once it answers. Raises InvalidInput for a home that cannot be written."""
    home.make_experiments()  # says it where SURREAL_HOME cannot be written
    try:
        _folder().mkdir(mode=0o700, exist_ok=True)
        with os.fdopen(os.open(_token(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    except OSError as error:
        raise InvalidInput(
            f"{error.filename}: {error.strerror}. Set SURREAL_HOME to a folder that can be written."
        ) from None
    print("starting Ray on this machine: dashboard off, token on", file=sys.stderr)
    port = _free_port()
    log = _folder() / "ray.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(),
            start_new_session=True,
        )
    host = _wait(process, log)
    own = OwnRay(f"{host}:{port}", process.pid, os_process.born(process.pid) or "")
    home.write_json(_note(), asdict(own))
    return own


def _command(port: int) -> list[str]:
    return [
        *(sys.executable, "-P", "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}"),
        *("--include-dashboard=false", "--disable-usage-stats", f"--ray-client-server-port={_free_port()}"),
        f"--object-store-memory={STORE_BYTES}",
        f"--num-cpus={int(SHARE * max(1.0, usable_cores()))}",
        f"--memory={SHARE * usable_memory()}",
    ]


def _environment() -> dict[str, str]:
    names = (TOKEN_VARIABLE, "RAY_ADDRESS")
    ours = {MODE_VARIABLE: "token", TOKEN_FILE_VARIABLE: str(_token()), "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
    # else whatever runs beside a run has 28 times its right to the cores
    ours |= {"RAY_worker_niceness": "0"}
    return {**{key: value for key, value in os.environ.items() if key not in names}, **ours}


def _wait(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Return the IP address of the Ray that a process starts, once it is up. Raises SurrealError with its words."""
    deadline = time.monotonic() + START_SECONDS
    while READY not in (text := log.read_text(errors="replace")):
        if process.poll() is not None or time.monotonic() > deadline:
            os_process.signal_group(process.pid, signal.SIGKILL)
            raise SurrealError(f"--on ray: Ray did not start on this machine. Read the end of {log}:\n{text[-1500:]}")
        time.sleep(0.1)
    line = next((each for each in text.splitlines() if "Local node IP:" in each), "")
    return line.rpartition(" ")[2] or "127.0.0.1"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _folder() -> Path:
    return home.home() / "own-ray"


def _token() -> Path:
    return _folder() / "token"


def _note() -> Path:
    return _folder() / "ray.json"
