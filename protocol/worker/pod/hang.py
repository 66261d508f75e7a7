"""The watch of a pod's first process over the worker: frozen, deadlocked, or inside a call that does not return.

The first process reads the same pulse as the supervisor of a machine does. It can end a worker that no signal reaches,
and Kubernetes then starts another pod.
"""

import os
import resource
import signal
import time
from contextlib import suppress

from surreal.protocol.worker import pulse
from surreal.protocol.worker.pulse import Board, Watch, look_interval

ABORT_S = 1.0
"""Seconds between SIGABRT, which prints the stacks of one that hangs, and SIGKILL."""


class HangWatch:
    """Judges the one worker of a pod by its pulse, and ends it where that stands still."""

    def __init__(self, limit: float, start: float = pulse.START_S) -> None:
        """Take a worker without a move for `limit` seconds as hung; 0 for never. The worker inherits the pulse.

        `start` are the seconds that it has at least until its first sign of life.
        """
        self._limit, self._start, self._board, self._watch = limit, start, Board(1), Watch()
        os.environ[pulse.VARIABLE] = self._board.variable(0)
        self._interval = look_interval(limit)
        self._looked = time.monotonic()
        self._killed = False
        self.how = ""
        """The sentence on the hang for which the worker was ended; empty where it was not."""

    def wait_s(self) -> float | None:
        """Return the seconds until `look` is due; None for never."""
        if not self._limit or self._killed:
            return None
        return max(0.0, self._looked + (ABORT_S if self.how else self._interval) - time.monotonic())

    def look(self, worker: int) -> str:
        """Look at the process `worker` and end it where it hangs; return how it hangs, once."""
        if self.wait_s() != 0.0:
            return ""
        if self.how:
            self._killed = True
            os.kill(worker, signal.SIGKILL)
            return ""
        now = time.monotonic()
        # a machine that slept has seen nothing meanwhile
        passed, self._looked = min(now - self._looked, 2 * self._interval), now
        self._watch.look(self._board.read(0), passed)
        if self._watch.hangs(self._limit, self._start):
            self.how = f"{self._watch.where} for {self._watch.still:.0f} s"
            _abort(worker)
        return self.how


def _abort(worker: int) -> None:
    """Have the fault handler of the worker print its stacks, without a core file."""
    with suppress(AttributeError, OSError):
        resource.prlimit(worker, resource.RLIMIT_CORE, (0, 0))
    os.kill(worker, signal.SIGABRT)
