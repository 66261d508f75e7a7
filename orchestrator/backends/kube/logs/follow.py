"""Following the logs of a run: one thread for each pod, new pods as they come, until the run is over.

A stream that ends says nothing: it may have been cut. Whether the run is over is asked of its objects.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Empty, Full, Queue

from surreal.orchestrator.backends.kube.logs.pod_log import PodStream, has_ended
from surreal.orchestrator.backends.kube.logs.reader import BEGIN, Logs
from surreal.orchestrator.backends.kube.run_folder.locate import writer
from surreal.orchestrator.backends.kube.status.collect import snapshot
from surreal.orchestrator.backends.kube.status.status import status_of
from surreal.orchestrator.run.log_files import LogLine
from surreal.protocol.errors import NotFound, SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.objects import name_of

LOOK_SECONDS = 2.0
"""Seconds between two looks at the pods."""
TOGETHER_SECONDS = 0.25
"""Lines that come within it are put in order of time."""
MOST_WAITING = 10_000
"""Lines that may be read ahead of the printing."""
LAST_SECONDS = 20.0
"""Seconds for the other processes to end and for their last lines, once the run is over."""
GIVE_UP_SECONDS = 300.0
"""Seconds without an answer of the API server."""
TRIES = 3
"""Attempts to read the whole log of a process that has ended."""


def read(
    api: Api, name: str, source: str | None = None, tail: int | None = None, follow: bool = False
) -> Iterator[LogLine]:
    """Yield the log lines of one process, one role, `supervisor` or (None) all, merged by time; see `Backend.logs`.

    Raises NotFound for an experiment or a source that is not there.
    """
    with Logs(api, name, source) as found:
        yield from found.history(tail, unfinished=not follow)
        if follow:
            yield from Following(found).lines()


class Following:
    """Stream of the log lines that come after `Logs.history`."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._lines: Queue[LogLine] = Queue(MOST_WAITING)
        self._readers: dict[str, threading.Thread] = {}
        self._closing = threading.Event()
        self._answered = time.monotonic()

    def lines(self) -> Iterator[LogLine]:
        """New lines as they come, until the run is over and has nothing more to say."""
        over_at: float | None = None
        try:
            while self._look():
                over_at = over_at or (time.monotonic() if status_of(self._logs.snapshot).over else None)
                self._start_readers()
                yield from _in_order([*self._logs.news(), *self._from_folder()])
                yield from self._arriving(LOOK_SECONDS)
                if over_at and (self._all_is_read() or time.monotonic() - over_at > LAST_SECONDS):
                    break
            yield from self._arriving(0.0)
        finally:
            self._closing.set()
            for stream in self._logs.streams.values():
                stream.cut()

    def _look(self) -> bool:
        """See what there is now; False once there is no such run any more."""
        try:
            self._logs.snapshot = snapshot(self._logs.api, self._logs.snapshot.name)
            self._answered = time.monotonic()
        except NotFound:
            self._logs.api.talk(f"{self._logs.snapshot.name} was deleted")
            return False
        except SurrealError as error:
            if time.monotonic() - self._answered > GIVE_UP_SECONDS:
                raise
            self._logs.api.talk(f"{error}; trying again, the run is not affected")
        return True

    def _start_readers(self) -> None:
        """Have a thread read each pod that has something to say and none."""
        self._logs.new_streams()
        for pod in self._logs.pods():
            stream = self._logs.streams[name_of(pod)]
            if not stream.complete and not self._is_read(stream):
                reader = threading.Thread(target=self._read, args=(stream, has_ended(pod)), daemon=True)
                self._readers[stream.pod] = reader
                reader.start()

    def _is_read(self, stream: PodStream) -> bool:
        return stream.pod in self._readers and self._readers[stream.pod].is_alive()

    def _all_is_read(self) -> bool:
        streams = self._logs.streams.values()
        waiting = [pod for pod in self._logs.pods() if not self._logs.streams[name_of(pod)].complete]
        return not waiting and not any(self._is_read(stream) for stream in streams)

    def _read(self, stream: PodStream, ended: bool) -> None:
        """Hand on the lines of one pod until its stream ends, however that comes."""
        from urllib3.exceptions import HTTPError

        try:
            for line in stream.lines(follow=not ended):
                self._hand_on(line)
            stream.complete = ended
        except (SurrealError, HTTPError, OSError):
            stream.failures += ended
            stream.complete = stream.failures >= TRIES

    def _hand_on(self, line: LogLine) -> None:
        while not self._closing.is_set():
            with suppress(Full):
                self._lines.put(line, timeout=1.0)
                return

    def _from_folder(self) -> list[LogLine]:
        """New lines of the processes that are too many for a stream each."""
        if not self._logs.is_crowd or not writer(self._logs.snapshot):
            return []
        if not self._logs.folder and not self._logs.open_folder():
            return []
        assert self._logs.folder
        try:
            return list(self._logs.folder.lines())
        except SurrealError:
            # the pod was replaced: the next one has the folder
            self._logs.open_folder()
            return []

    def _arriving(self, seconds: float) -> Iterator[LogLine]:
        """Yield the lines that the threads hand on within so many seconds (0: all that wait), in batches by time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 or not self._lines.empty():
            with suppress(Empty):
                batch = [self._lines.get(timeout=max(0.0, min(TOGETHER_SECONDS, left)))]
                time.sleep(TOGETHER_SECONDS / 5)
                while not self._lines.empty() and len(batch) < MOST_WAITING:
                    batch.append(self._lines.get_nowait())
                yield from _in_order(batch)
            if left < 0 < seconds:
                return


def _in_order(lines: Iterable[LogLine]) -> list[LogLine]:
    return sorted(lines, key=lambda line: line.at or BEGIN)
