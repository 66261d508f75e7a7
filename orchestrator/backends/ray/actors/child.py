"""The worker process below a host: its files, its output, its pulse, and what it left when it ended."""

import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from surreal.orchestrator.supervision import os_process
from surreal.orchestrator.supervision.log_pump import CHUNK_BYTES, TAIL_BYTES
from surreal.protocol.wiring import LIFELINE_VARIABLE, Wiring
from surreal.protocol.worker import pulse

OUTPUT_SECONDS = 0.5
"""Seconds for which lines gather before they are sent to the supervisor."""
OUTPUT_BYTES = 64 * 1024
"""Bytes that are sent at once: Ray carries these in the call itself, beside its object store."""
ABORT_SECONDS = 1.0
"""Seconds between SIGABRT, which prints the stacks of one that hangs, and SIGKILL."""
NOT_HANDED_ON = ("PYTHONBREAKPOINT", "RAY_JOB_ID", "RAY_RAYLET_PID", "RAY_CLIENT_MODE", "RAY_LD_PRELOAD_ON_WORKERS")
"""Variables of Ray's own workers."""


@dataclass(frozen=True)
class Order:
    """All that a host must know to start its worker."""

    wiring: dict[str, Any]
    keys: str
    """Content of the role's key file; empty where sockets of the file system need none."""
    environment: dict[str, str]
    """Variables of the role."""
    hang_seconds: float


class Child:
    """One start of the worker."""

    def __init__(self, order: Order, folder: Path, code: str) -> None:
        """Write its files below `folder`, which is private."""
        self._order, self._folder = order, folder
        wiring = Wiring.of(order.wiring)
        self.name, self._incarnation = wiring.name, wiring.incarnation
        self._termination = folder / "end.json"
        self._wiring = self._written(wiring, code)
        self.environment = {
            **{key: value for key, value in os.environ.items() if key not in NOT_HANDED_ON},
            "PYTHONUNBUFFERED": "1",
            **order.environment,
        }
        self._board, self._watch = pulse.Board(1), pulse.Watch()
        self._lifeline, self._lifeline_end = os.pipe()
        self._process: subprocess.Popen[bytes] | None = None
        self._hung, self._tail, self._waiting = "", b"", b""
        self._asked: signal.Signals | None = None
        self._stuck = False
        """True where the supervisor was told that the worker is stuck."""
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The worker's process id, also that of its group; None when it does not run."""
        return self._process.pid if self._process else None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the worker's group; one that is not started yet gets it then."""
        with self._lock:
            self._asked = number
            if self._process and self._process.poll() is None:
                os_process.signal_group(self._process.pid, number)

    def run(self, supervisor: Any) -> dict[str, Any]:
        """Run it to its end, hand its output on, and return how it ended."""
        readable, writable = os.pipe()
        os.set_blocking(readable, False)
        try:
            with self._lock:
                self._process = self._start(writable)
                if self._asked:
                    os_process.signal_group(self._process.pid, self._asked)
            os.close(writable)
            supervisor.started.remote(self.name, self._incarnation, self._process.pid)
            code = self._attend(self._process, readable, supervisor)
        finally:
            for descriptor in (readable, self._lifeline, self._lifeline_end):
                os.close(descriptor)
        with suppress(OSError):
            record = self._termination.read_text()
            return self._ended(code, record)
        return self._ended(code, "")

    def _ended(self, code: int, record: str) -> dict[str, Any]:
        return {"code": code, "record": record, "output": self._tail, "hung": self._hung}

    def _written(self, wiring: Wiring, code: str) -> Path:
        """Write the wiring and the keys; the earlier outcome is forgotten."""
        keys, path = self._folder / "keys.json", self._folder / "wiring.json"
        self._termination.unlink(missing_ok=True)
        keys.touch(mode=0o600)
        keys.write_text(self._order.keys)
        keyed = str(keys) if self._order.keys else ""
        local = replace(wiring, keys=keyed, termination=str(self._termination), code=code or wiring.code)
        local.write(path)
        if wiring.serves_control:
            for part in ("", "metrics", "checkpoints"):
                Path(wiring.run_folder, part).mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def _start(self, output: int) -> "subprocess.Popen[bytes]":
        own = {LIFELINE_VARIABLE: str(self._lifeline), pulse.VARIABLE: self._board.variable(0)}
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "surreal.protocol.worker", str(self._wiring)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            env={**self.environment, **own},
            pass_fds=[self._lifeline, self._board.descriptor],
            process_group=0,
        )

    def _attend(self, process: "subprocess.Popen[bytes]", readable: int, supervisor: Any) -> int:
        """Take in output and pulse until the process has ended; return its exit code."""
        interval = pulse.look_interval(self._order.hang_seconds)
        looked = time.monotonic()
        poll = select.poll()
        poll.register(readable, select.POLLIN)
        while (code := process.poll()) is None:
            if poll.poll(OUTPUT_SECONDS * 1000):
                time.sleep(OUTPUT_SECONDS / 5)
            self._take(readable, supervisor)
            if (passed := time.monotonic() - looked) >= interval:
                looked += passed
                self._look(process, min(passed, 2 * interval), supervisor)
        os_process.signal_group(process.pid, signal.SIGKILL)
        self._take(readable, supervisor)
        return code

    def _take(self, readable: int, supervisor: Any) -> None:
        """Hand on what was printed."""
        while data := _read(readable):
            self._tail = (self._tail + data)[-TAIL_BYTES:]
            for start in range(0, len(data), OUTPUT_BYTES):
                supervisor.output.remote(self.name, self._incarnation, data[start : start + OUTPUT_BYTES])

    def _look(self, process: "subprocess.Popen[bytes]", passed: float, supervisor: Any) -> None:
        """Judge the pulse: say where the worker is stuck, and end one that hangs."""
        watch, limit = self._watch, self._order.hang_seconds
        watch.look(self._board.read(0), passed)
        stuck = watch.worth_saying(min(30.0, limit / 2) if limit and watch.started else 30.0)
        if stuck or self._stuck:
            # words of hundreds that move would only keep the supervisor busy
            supervisor.note.remote(self.name, self._incarnation, watch.where if stuck else "", watch.still)
        self._stuck = stuck
        if watch.hangs(limit) and not self._hung:
            self._hung = f"{watch.where} for {watch.still:.0f} s"
            with suppress(AttributeError, OSError):  # the stacks are wanted, not a core file; only Linux can say so
                resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
            os.kill(process.pid, signal.SIGABRT)
            time.sleep(ABORT_SECONDS)
            os_process.signal_group(process.pid, signal.SIGKILL)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, CHUNK_BYTES)
    except BlockingIOError:
        return b""
