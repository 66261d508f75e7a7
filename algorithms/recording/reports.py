"""Reports of processes: shares of time where they are sent, and one row for each role where they are received."""

import time
from collections.abc import Mapping
from typing import Any

FORGET_SECONDS = 60.0
"""Age beyond which a report no longer says anything of its process."""


class Shares:
    """Shares of a role's time: seconds per activity between two readings."""

    def __init__(self, *activities: str) -> None:
        self._seconds = dict.fromkeys(activities, 0.0)
        self._since = time.perf_counter()

    def add(self, activity: str, seconds: float) -> None:
        """Count `seconds` of `activity`."""
        self._seconds[activity] += seconds

    def read(self) -> dict[str, float]:
        """Return `share_NAME` -> share of the wall clock since the last reading, and start anew."""
        now = time.perf_counter()
        elapsed, self._since = max(now - self._since, 1e-9), now
        shares = {f"share_{name}": seconds / elapsed for name, seconds in self._seconds.items()}
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        return shares


class Reports:
    """The newest report of each process, and their means by role."""

    def __init__(self) -> None:
        self._newest: dict[str, tuple[float, Mapping[str, Any]]] = {}
        self._since: dict[str, set[str]] = {}

    def add(self, process: str, row: Mapping[str, Any]) -> None:
        """Take in a report of `process` (`actor/3`)."""
        self._newest[process] = (time.monotonic(), row)
        self._since.setdefault(process.partition("/")[0], set()).add(process)

    def mean_of(self, name: str) -> float | None:
        """Return the mean of `name` over the newest reports of all processes; None if none has it."""
        oldest = time.monotonic() - FORGET_SECONDS
        values = [row[name] for at, row in self._newest.values() if at > oldest and _is_number(row.get(name))]
        return sum(values) / len(values) if values else None

    def by_role(self) -> dict[str, dict[str, float]]:
        """Return role -> means of its processes' reports since the last call, with their number as `processes`.

        Where there are several, `NAME_min` and `NAME_max` stand beside each mean.
        """
        rows = {role: self._joined(processes) for role, processes in self._since.items()}
        self._since = {}
        return rows

    def _joined(self, processes: set[str]) -> dict[str, float]:
        row: dict[str, float] = {"processes": len(processes)}
        reports = [self._newest[process][1] for process in processes]
        for name in dict.fromkeys(name for report in reports for name in report):
            values = [float(report[name]) for report in reports if _is_number(report.get(name))]
            if not values:
                continue
            row[name] = sum(values) / len(values)
            if len(processes) > 1:
                row[f"{name}_min"], row[f"{name}_max"] = min(values), max(values)
        return row


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
