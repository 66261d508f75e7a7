"""The watch over processes that live and do not work: frozen, deadlocked, or inside a call that does not return."""

import time
from collections.abc import Iterable, Iterator

from surreal.orchestrator.backends.local.launcher import Launcher
from surreal.orchestrator.backends.local.process import ManagedProcess
from surreal.protocol.worker.pulse import look_interval

REPORT_AFTER_S = 30.0
"""Seconds without a move after which a process is said to be stuck, or half of the limit where that is less."""


class HangWatch:
    """Reads the pulse of every process at its interval."""

    def __init__(self, launcher: Launcher, limit: float) -> None:
        """Take a process without a move for `limit` seconds as hung; 0 for never."""
        self._launcher, self._limit = launcher, limit
        self.interval = look_interval(limit)
        self._report_after = min(REPORT_AFTER_S, limit / 2) if limit else REPORT_AFTER_S
        self._looked = time.monotonic()

    @property
    def next_look(self) -> float:
        """The time of the next look, on the monotonic clock."""
        return self._looked + self.interval

    def look(self, processes: Iterable[ManagedProcess]) -> Iterator[tuple[ManagedProcess, str]]:
        """Look at all that run; yield those that hang and how: `is inside env.step (my_env.py:12) for 300 s`."""
        now = time.monotonic()
        # a machine that slept, or a supervisor that was stopped, has seen nothing meanwhile
        passed, self._looked = min(now - self._looked, 2 * self.interval), now
        for process in processes:
            if process.is_running and not process.hung:
                slot = self._launcher.slot(process.role, process.record.index)
                process.watch.look(self._launcher.board.read(slot), passed)
                self._note(process)
                if process.watch.hangs(self._limit):
                    yield process, f"{process.watch.where} for {process.watch.still:.0f} s"

    def _note(self, process: ManagedProcess) -> None:
        """Keep in the record where it is stuck and since when, in words that stay equal while it is."""
        record, watch = process.record, process.watch
        if watch.still >= (self._report_after if watch.started else REPORT_AFTER_S):
            if record.since is None:
                record.reason, record.since = watch.where, round(time.time() - watch.still)
        elif record.since is not None:
            record.reason, record.since = "", None
