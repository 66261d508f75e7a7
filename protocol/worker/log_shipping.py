"""Log shipping: the output of all processes of a run in a cluster, kept in the run folder.

Every process ships its lines over the stream `logs`. The process that serves control writes them, and its own, to
`logs/ROLE-INDEX.INCARNATION.log`. Lines are dropped and counted rather than that a process waits; the pods' own logs
have them all.
"""

import logging
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from surreal.protocol.errors import Refused, Stopping
from surreal.protocol.graph import LOGS, ProcessName
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.transport.stats import RateLimitedLog
from surreal.protocol.wiring import Wiring
from surreal.protocol.worker.pod.pid1 import Tee
from surreal.protocol.worker.process import Process

log = logging.getLogger("surreal")

BATCH_DELAY_S = 0.5
"""Seconds for which lines wait for others."""
BATCH_BYTES = 64 * 1024
"""Bytes that are sent at once; a longer line is cut."""
FLUSH_TIMEOUT_S = 3.0
"""Seconds that the last lines get at the end; a busy machine needs more than one."""
RETRY_INTERVAL_S = 0.02
"""Time after which last lines that were not taken are offered again."""
MAX_FILE_BYTES = 64 * 1024 * 1024
"""Bytes that are kept of one start of one process."""
MAX_FILES = 20_000
"""Logs that are kept of a run; processes report their incarnations, and each is a file."""
POLL_INTERVAL_S = 0.5
"""Time after which the writing thread checks for the end."""

Deliver = Callable[[bytes], bool]
"""Hands lines on; False where they were dropped."""


class LogShipper:
    """The threads that ship what this process prints and, where control is served, write what all print."""

    def __init__(self, process: Process, tee: Tee) -> None:
        wiring = process.wiring
        self._tee = tee
        self._collector: _Collector | None = None
        deliver = self._keep(process) if wiring.serves_control else self._send(process)
        self._thread = threading.Thread(
            target=ship_lines, args=(tee.copy, deliver), name="surreal-shipping", daemon=True
        )
        self._thread.start()

    def _keep(self, process: Process) -> Deliver:
        """Write our own lines, and begin to write what others send."""
        wiring, folder = process.wiring, LogFolder(process.wiring)
        self._collector = _Collector(process.receiver(LOGS), folder)
        return lambda lines: folder.write(wiring.name, wiring.incarnation, lines)

    def _send(self, process: Process) -> Deliver:
        sender = process.sender(LOGS)
        return lambda lines: sender.send({"lines": np.frombuffer(lines, np.uint8)})

    def close(self) -> None:
        """Ship what was printed until now; what comes later goes to the pod's log only. Before the channels close."""
        for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
            # a role may have closed its standard output
            with suppress(ValueError, OSError, AttributeError):
                stream.flush()
            os.dup2(self._tee.original, descriptor)
        self._thread.join(FLUSH_TIMEOUT_S)  # the first process sees the end of the pipe, and so do we then
        if self._collector:
            self._collector.close()


def ship_lines(source: int, deliver: Deliver) -> None:
    """Read lines from the descriptor `source` and deliver them, many at a time, until it ends."""
    buffer = _LineBuffer(deliver)
    with suppress(Refused, Stopping):
        while True:
            if not select.select([source], [], [], buffer.seconds_left())[0]:
                buffer.send()
                continue
            data = os.read(source, BATCH_BYTES)
            if not data:
                buffer.finish(time.monotonic() + FLUSH_TIMEOUT_S / 2)
                break
            buffer.add(data)
    # the writing end gets an error from now on
    os.close(source)


class _LineBuffer:
    """Lines that wait for others."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver, self._waiting = deliver, bytearray()
        self._due: float | None = None
        self._lost = 0

    def seconds_left(self) -> float | None:
        """Return seconds until it is to be sent; None while there is nothing to send."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def add(self, data: bytes) -> None:
        self._waiting += data
        self._due = self._due or time.monotonic() + BATCH_DELAY_S
        if len(self._waiting) >= BATCH_BYTES:
            self.send()

    def send(self, last: bool = False) -> None:
        """Deliver the lines that are whole; all there is at the end, or where a line is too long."""
        self._due = None
        lines = self._take(last)
        if self._lost and lines and self._deliver(f"({self._lost} lines were lost on the way)\n".encode()):
            self._lost = 0
        for start in range(0, len(lines), BATCH_BYTES):
            part = lines[start : start + BATCH_BYTES]
            self._lost += 0 if self._deliver(part) else part.count(b"\n") or 1

    def finish(self, deadline: float) -> None:
        """Deliver all there is; what is not taken is offered again until `deadline`, as nothing follows it."""
        deliver = self._deliver
        self._deliver = lambda part: _insist(deliver, part, deadline)
        self.send(last=True)

    def _take(self, last: bool) -> bytes:
        waiting, whole = self._waiting, self._waiting.rfind(b"\n") + 1
        end = len(waiting) if last or (not whole and len(waiting) >= BATCH_BYTES) else whole
        lines = bytes(waiting[:end])
        del waiting[:end]
        return lines if not lines or lines.endswith(b"\n") else lines + b"\n"


def _insist(deliver: Deliver, part: bytes, deadline: float) -> bool:
    while not (taken := deliver(part)) and time.monotonic() < deadline:
        time.sleep(RETRY_INTERVAL_S)
    return taken


class LogFolder:
    """The logs in the run folder. Any thread may write."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring, self._folder = wiring, Path(wiring.run_folder) / LOGS
        self._sizes: dict[str, int] = {}
        self._warn, self._lock = RateLimitedLog(), threading.Lock()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write(self, process: str, incarnation: int, lines: bytes) -> bool:
        """Append `lines` of one start of `process` to its log; return False if they were not taken."""
        if not self._wiring.has(process):
            return False
        name = ProcessName.parse(process)
        with self._lock:
            try:
                return self._append(file_name(name.role, name.index, incarnation), lines)
            except OSError as error:
                self._warn("logs", f"cannot keep logs in the run folder: {error}")
                return False

    def _append(self, name: str, lines: bytes) -> bool:
        path = self._folder / name
        if name not in self._sizes:
            if len(self._sizes) >= MAX_FILES:
                self._warn("many logs", f"the run has {MAX_FILES} logs; those of further starts are not kept")
                return False
            self._sizes[name] = path.stat().st_size if path.exists() else 0
        size = self._sizes[name]
        if size >= MAX_FILE_BYTES:
            return False
        if size + len(lines) > MAX_FILE_BYTES:
            lines = f"(the log is full, {MAX_FILE_BYTES} bytes; the pod's own goes on)\n".encode()
            self._sizes[name] = MAX_FILE_BYTES
        else:
            self._sizes[name] = size + len(lines)
        with open(path, "ab", opener=_private) as file:
            file.write(lines)
        return True


def file_name(role: str, index: int, incarnation: int) -> str:
    """Return the log of one start of one process, the same as that of a run on one machine."""
    return f"{role}-{index}.{incarnation}.log"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class _Collector:
    """Writes what the other processes ship."""

    def __init__(self, receiver: StreamReceiver, folder: LogFolder) -> None:
        self._receiver, self._folder = receiver, folder
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="surreal-logs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what has arrived, and end."""
        self._closing.set()
        self._thread.join(FLUSH_TIMEOUT_S)

    def _run(self) -> None:
        """Write the lines that arrive. While this process is stopping, the others keep theirs for its successor."""
        with suppress(Stopping):
            while (message := self._receiver.recv(POLL_INTERVAL_S)) is not None or not self._closing.is_set():
                lines = message.arrays.get("lines") if message is not None else None
                if message is not None and lines is not None:
                    self._folder.write(message.sender, message.incarnation, lines.tobytes())
