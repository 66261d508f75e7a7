"""Crashes of a run's processes before its first step: equal ones show that another start would not help.

A supervisor on one machine sees every exit. In a cluster Kubernetes starts processes again, up to a thousand times and
ever more slowly, so the process that serves control counts what the others say when they leave.
"""

import re

EQUAL_CRASHES = 3
"""Equal crashes of one process before the first step of the run that fail the run."""


class Crashes:
    """Crashes of each process in a row."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, int]] = {}

    def note(self, process: str, reason: str) -> bool:
        """Note a crash; return True if it was the last of EQUAL_CRASHES equal ones."""
        # Numbers and addresses differ from one start to the next, and mean nothing here.
        kind = re.sub(r"0x[0-9a-f]+|\d+", "#", reason)
        known, times = self._last.get(process, ("", 0))
        times = times + 1 if kind == known else 1
        self._last[process] = kind, times
        return times >= EQUAL_CRASHES
