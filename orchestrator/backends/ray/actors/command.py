"""Commands that `surreal exec` runs beside a worker: their output is fetched piece by piece, without a terminal."""

import itertools
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from surreal.protocol.errors import InvalidInput

CHUNK_BYTES = 64 * 1024
MOST_BYTES = 8 * 2**20
"""Bytes of one command that wait to be fetched; then the command waits."""


class Commands:
    """The commands of one host."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._running: dict[int, _Command] = {}

    def begin(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
        """Start a command and return its number. Raises InvalidInput where there is none of that name."""
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=dict(environment),
            )
        except (FileNotFoundError, PermissionError) as error:
            raise InvalidInput(
                f"exec: cannot run {command[0]!r}: {error.strerror}. Name a program that is there."
            ) from None
        number = next(self._numbers)
        self._running[number] = _Command(process)
        return number

    def read(self, number: int) -> tuple[bytes, bytes, int | None]:
        """Return output and errors since the last call, and the exit code once all is fetched."""
        found = self._running[number]
        answer = found.read()
        if answer[2] is not None:
            del self._running[number]
        return answer

    def close(self) -> None:
        """End all commands. What they started themselves ends with the host, whose process group it is in."""
        for each in self._running.values():
            each.process.kill()


class _Command:
    """One command and what it printed."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self._ready = threading.Condition()
        self._output, self._errors = bytearray(), bytearray()
        assert process.stdout and process.stderr, "both are pipes"
        streams: list[tuple[IO[bytes], bytearray]] = [(process.stdout, self._output), (process.stderr, self._errors)]
        self._threads = [threading.Thread(target=self._collect, args=stream, daemon=True) for stream in streams]
        for thread in self._threads:
            thread.start()

    def read(self) -> tuple[bytes, bytes, int | None]:
        """Wait a moment for something to be there, and take it."""
        with self._ready:
            self._ready.wait_for(lambda: self._output or self._errors, 0.2)
            over = not any(thread.is_alive() for thread in self._threads)
            answer = bytes(self._output), bytes(self._errors)
            self._output.clear()
            self._errors.clear()
            self._ready.notify_all()
        return (*answer, self.process.wait() if over and not any(answer) else None)

    def _collect(self, stream: IO[bytes], into: bytearray) -> None:
        def has_room() -> bool:
            return len(into) < MOST_BYTES

        with stream:
            while data := stream.read1(CHUNK_BYTES):  # type: ignore[attr-defined]
                with self._ready:
                    self._ready.wait_for(has_room)
                    into += data
                    self._ready.notify_all()
