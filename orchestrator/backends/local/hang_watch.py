"""The watch over processes that live and do not work: frozen, deadlocked, or inside a call that does not return.

The judgement is that of `protocol.worker.pulse`, by which the first process of a pod watches its worker too.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from surreal.orchestrator.backends.local.launcher import Launcher
from surreal.orchestrator.backends.local.process import ManagedProcess
from surreal.protocol.worker.pulse import look_interval

REPORT_AFTER_S = 30.0
"""Seconds without a move after which a process is said to be stuck, or half of the limit where that is less."""


@dataclass
class HangWatch:
    """Reads the pulse of every process at its interval."""

    launcher: Launcher
    limit: float
    """Seconds without a move after which a process is taken as hung; 0 for never."""
    looked: float = field(default_factory=time.monotonic)
    """The time of the last look, on the monotonic clock."""

    @property
    def next_look(self) -> float:
        """The time of the next look, on the monotonic clock."""
        return self.looked + look_interval(self.limit)

    def look(self, processes: Iterable[ManagedProcess]) -> Iterator[tuple[ManagedProcess, str]]:
        """Look at all that run; yield those that hang and how: `is inside env.step (my_env.py:12) for 300 s`."""
        now = time.monotonic()
        # a machine that slept, or a supervisor that was stopped, has seen nothing meanwhile
        passed, self.looked = min(now - self.looked, 2 * look_interval(self.limit)), now
        for process in processes:
            if process.is_running and not process.hung:
                slot = self.launcher.slot(process.role, process.record.index)
                process.watch.look(self.launcher.board.read(slot), passed)
                self._note(process)
                if process.watch.hangs(self.limit):
                    yield process, f"{process.watch.where} for {process.watch.still:.0f} s"

    def _note(self, process: ManagedProcess) -> None:
        """Keep in the record where it is stuck, or what it says it does, and since when, in words that stay equal."""
        record, watch = process.record, process.watch
        soon = min(REPORT_AFTER_S, self.limit / 2) if self.limit and watch.started else REPORT_AFTER_S
        if watch.worth_saying(soon):
            if record.since is None:
                record.reason, record.since = watch.where, round(time.time() - watch.still)
        elif record.since is not None:
            record.reason, record.since = "", None
