"""Keeper of a run's profiles, in the process that serves control: finds requests, and writes what processes send."""

import json
import logging
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from surreal.protocol.profiling.chunks import Chunk
from surreal.protocol.profiling.request import DONE, FOLDER, REQUEST, ProfileRequest

log = logging.getLogger("surreal")

MOST_BYTES = 64 << 20
"""Bytes of one profile's files: 1.8 million spans, for which a reader takes 1 GiB. More is dropped, and said."""
MOST_WAITING = 1024
"""Chunks that wait for the disk."""
LAST_WORDS_S = 3.0
"""Seconds after the end in which processes still send what they recorded."""


class Keeper:
    """Profiles of one run. `turn` is for one thread with time for a disk, the rest for the I/O thread."""

    def __init__(self, run_folder: str) -> None:
        """Look for requests in `run_folder`; go on with the one of a process that died while it kept it."""
        self._folder = Path(run_folder, FOLDER)
        self._request: ProfileRequest | None = None
        self._until = 0.0
        self._last = self._newest()
        self._waiting: deque[tuple[str, int, Chunk]] = deque()
        self._written = self._dropped = 0
        found = ProfileRequest.under_way(Path(run_folder))
        if found and (self._folder / found[0].name).is_dir():
            self._request, self._until = found[0], time.monotonic() + found[1]

    @property
    def request(self) -> ProfileRequest | None:
        """The profile that is being taken; None where none is."""
        request = self._request
        return request if request and time.monotonic() < self._until else None

    def take(self, process: str, incarnation: int, chunk: Chunk) -> None:
        """Keep a chunk of a process for the disk."""
        if self._request is None or chunk.profile != self._request.name:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
        else:
            self._waiting.append((process, incarnation, chunk))

    def turn(self) -> None:
        """Look for a request, write what has come, and say when a profile is over. A full disk costs the profile."""
        try:
            if self._request is None:
                self._look()
            else:
                self._write(self._request)
                if time.monotonic() > self._until + LAST_WORDS_S:
                    self._finish(self._request)
        except OSError as error:
            log.warning("cannot keep the profile: %s", error)
            self._request = None

    def close(self) -> None:
        """End a profile that is being taken, for no process keeps it from now on. Call it when no `turn` comes."""
        if self._request is not None:
            with suppress(OSError):
                self._write(self._request)
                self._finish(self._request)

    def _newest(self) -> float:
        """Return the time at which the newest request was written; 0 without one."""
        try:
            return (self._folder / REQUEST).stat().st_mtime
        except OSError:
            return 0.0

    def _look(self) -> None:
        newest = self._newest()
        if newest == self._last:
            return
        self._last = newest
        try:
            request = ProfileRequest.parse(json.loads((self._folder / REQUEST).read_text()))
        except ValueError:
            request = None
        if request is None:
            log.warning("%s is no request for a profile", self._folder / REQUEST)
            return
        (self._folder / request.name).mkdir(mode=0o700, exist_ok=True)
        self._written = self._dropped = 0
        self._until = time.monotonic() + request.seconds
        self._request = request

    def _write(self, request: ProfileRequest) -> None:
        while self._waiting:
            process, incarnation, chunk = self._waiting.popleft()
            line = chunk.to_line()
            if self._written + len(line) > MOST_BYTES:
                self._dropped += 1
                continue
            name = f"{process.replace('/', '-')}.{incarnation}.spans"
            with (self._folder / request.name / name).open("ab") as file:
                file.write(line)
            self._written += len(line)

    def _finish(self, request: ProfileRequest) -> None:
        self._request = None
        said = {"seconds": request.seconds, "bytes": self._written, "dropped_chunks": self._dropped}
        (self._folder / request.name / DONE).write_text(json.dumps(said))
        log.info("the profile %s is complete: %d bytes", request.name, self._written)
