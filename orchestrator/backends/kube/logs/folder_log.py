"""The logs that the run folder keeps of every start of every process, read from here as they grow."""

from collections.abc import Callable, Iterator
from datetime import UTC
from heapq import merge
from pathlib import Path

from surreal.orchestrator.backends.kube.run_folder.folder import File, RunFolder
from surreal.orchestrator.backends.kube.run_folder.locate import LAYOUT
from surreal.orchestrator.run.log_files import LogFile, LogLine, source_of

LOGS = f"{LAYOUT.logs.name}/"
LINE_BYTES = 400
"""A line is rarely longer, so many bytes for each line of a tail are enough."""
LEAST_BYTES = 64 * 1024


class FolderLogs:
    """Log files of a run folder, kept in a folder here while they are read."""

    def __init__(self, folder: RunFolder, local: Path, wanted: Callable[[str], bool]) -> None:
        """Prepare to read the log files whose names `wanted` accepts."""
        self._folder = folder
        self._local = local
        self._wanted = wanted
        self._files: dict[str, LogFile] = {}

    def sources(self) -> list[str]:
        """Return the processes that there is a log of."""
        return sorted({source_of(Path(file.name).name) for file in self._folder.list(LOGS)})

    def lines(self, tail: int | None = None, unfinished: bool = False) -> Iterator[LogLine]:
        """Yield the new lines in order of time. `tail` limits the reading of files that were not read before."""
        newest = 0 if tail is None else max(LEAST_BYTES, tail * LINE_BYTES)
        changed = self._folder.mirror(self._local, LOGS, self._is_wanted, newest)
        for name, start in changed.items():
            if name not in self._files:
                self._files[name] = LogFile(
                    self._local / name, source_of(Path(name).name), UTC, self._whole_line(name, start)
                )
        read = self._files if unfinished else changed
        each = [self._files[name].new_lines(unfinished) for name in read]
        yield from (line for _, line in merge(*each, key=lambda timed: timed[0]))

    def move(self, folder: RunFolder) -> None:
        """Go on with the same files in another place: the run folder has a new pod."""
        self._folder = folder

    def _is_wanted(self, file: File) -> bool:
        return self._wanted(Path(file.name).name)

    def _whole_line(self, name: str, start: int) -> int:
        """Return the beginning of a line at or behind `start`."""
        if not start:
            return 0
        with (self._local / name).open("rb") as file:
            file.seek(start)
            file.readline()
            return file.tell()
