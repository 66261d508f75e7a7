"""The logs of a run in a cluster as one stream: of the pods there are, and of the run folder for what they do not have.

A start of a process (an incarnation) is read in one place only, its pod or its file in the run folder, so that no line
comes twice. Where more processes are asked for than streams can be held open, all but the one that has the run folder
are read from that, over one connection.
"""

import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from heapq import merge
from pathlib import Path
from typing import Self

from surreal.orchestrator.backends.kube.logs import pod_log as streams
from surreal.orchestrator.backends.kube.logs.folder_log import FolderLogs
from surreal.orchestrator.backends.kube.logs.pod_log import PodStream, has_log, incarnation_of
from surreal.orchestrator.backends.kube.run_folder.locate import LAYOUT, folder_of, writer
from surreal.orchestrator.backends.kube.status.collect import snapshot
from surreal.orchestrator.backends.kube.status.snapshot import index_of, role_of
from surreal.orchestrator.backends.kube.status.status import status_of
from surreal.orchestrator.backends.kube.status.timeline import Happening, happenings, sentences
from surreal.orchestrator.run.log_files import SUPERVISOR, LogLine, choose_sources, source_of
from surreal.protocol.errors import SurrealError
from surreal.protocol.wiring import ATTEMPT
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import name_of

STREAMS = 64
"""Pods whose logs are followed at once."""
PODS = 200
"""Pods, the newest, whose logs are read at all; what older ones said is in the run folder."""
BEGIN = datetime.fromtimestamp(0, UTC)


class Logs:
    """Logs of one run. A context manager."""

    def __init__(self, api: Api, name: str, source: str | None) -> None:
        self.api = api
        self.snapshot = snapshot(api, name)
        self.streams: dict[str, PodStream] = {}
        """By the name of the pod."""
        self.folder: FolderLogs | None = None
        self._told: set[Happening] = set()
        self._in_pods: set[str] = set()
        """Log files of the starts that pods tell of."""
        self._stack = ExitStack()
        self.sources = choose_sources(name, self._processes(), source)
        self.is_crowd = len(self.sources - {SUPERVISOR}) > STREAMS
        """Too many to hold a stream open for each."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def history(self, tail: int | None, unfinished: bool) -> Iterator[LogLine]:
        """Yield all lines until now, or the last so many."""
        # one line at least, so that who follows goes on behind it
        least = None if tail is None else max(1, tail)
        each: list[Iterable[LogLine]] = [self._tolerant(stream.lines(tail=least)) for stream in self.new_streams()]
        each.append(self.news())
        if not self.folder and self._needs_folder():
            self.open_folder()
        if self.folder:
            each.append(self._tolerant(self.folder.lines(tail, unfinished)))
        lines = merge(*each, key=lambda line: line.at or BEGIN)
        yield from lines if tail is None else deque(lines, tail)

    def news(self) -> list[LogLine]:
        """Return the supervisor's sentences that were not returned before."""
        if SUPERVISOR not in self.sources:
            return []
        new = [each for each in happenings(self.snapshot) if each not in self._told]
        self._told |= set(new)
        return list(sentences(new))

    def new_streams(self) -> list[PodStream]:
        """Return the streams of the pods that have a log and had none before."""
        new = [pod for pod in self.pods() if name_of(pod) not in self.streams]
        self.streams |= {name_of(pod): PodStream(self.api, pod) for pod in new}
        self._in_pods |= {LAYOUT.process_log(role_of(pod), index_of(pod), incarnation_of(pod)).name for pod in new}
        return [self.streams[name_of(pod)] for pod in new]

    def pods(self) -> list[Object]:
        """Return the pods that are read themselves."""
        chosen = [pod for pod in self.snapshot.pods if has_log(pod) and streams.source_of(pod) in self.sources]
        if self.is_crowd:
            holder = writer(self.snapshot)
            chosen = [pod for pod in chosen if pod is holder or name_of(pod) in self.streams]
        return chosen[-PODS:]

    def open_folder(self) -> bool:
        """Make `folder` the run folder as it is found now; False, and said, where that cannot be."""
        try:
            found = self._stack.enter_context(folder_of(self.api, self.snapshot))
        except SurrealError as error:
            self.api.talk(f"only what the pods themselves still have: {error}")
            return False
        if self.folder:
            self.folder.move(found)
        else:
            local = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="surreal-"))
            self.folder = FolderLogs(found, Path(local), self._is_in_folder_only)
        return True

    def _processes(self) -> list[str]:
        if self.snapshot.plan:
            return self.snapshot.plan.processes()
        known = {streams.source_of(pod) for pod in self.snapshot.pods if role_of(pod)}
        if not known:
            self.sources = set()
            self.open_folder()
        return sorted(known | set(self.folder.sources() if self.folder else ()))

    def _needs_folder(self) -> bool:
        """Return whether a process asked for has starts that no pod can tell of."""
        if self.is_crowd:
            return True
        starts: dict[str, set[int]] = {source: set() for source in self.sources - {SUPERVISOR}}
        for pod in self.snapshot.pods:
            if streams.source_of(pod) in starts:
                starts[streams.source_of(pod)].add(incarnation_of(pod))
        if any(each and len(each) <= max(each) - ATTEMPT for each in starts.values()):
            return True
        # a process without a pod has gone with the run's end, or has not begun
        return not all(starts.values()) and status_of(self.snapshot).over

    def _is_in_folder_only(self, name: str) -> bool:
        """Return whether this log of the run folder is wanted and no pod has its lines."""
        return source_of(name) in self.sources and name not in self._in_pods

    def _tolerant(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the lines that can be read, and a sentence for those that cannot."""
        from urllib3.exceptions import HTTPError

        try:
            yield from lines
        except (SurrealError, HTTPError, OSError) as error:
            self.api.talk(f"some lines are missing: {error}")
