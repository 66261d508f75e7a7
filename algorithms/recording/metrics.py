"""Metrics of a run, in one place: rows for programs, TensorBoard events for people, gauges for Prometheus."""

import math
import time
from collections.abc import Mapping
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np

from surreal.algorithms.recording.disk import Disk
from surreal.algorithms.recording.events import EventLog
from surreal.algorithms.recording.rows import RESUMED, RowLog
from surreal.protocol.telemetry.gauges import Gauges

log = getLogger(__name__)
RESERVED = ("time", "role", "steps", "attempt", RESUMED)
"""Keys that say whose row it is; no report can set them."""
MAX_TEXT = 500
"""Characters of a text in a row."""


class Metrics:
    """Writes rows; every number of a row becomes a TensorBoard scalar `role/name` at the row's environment steps.

    A disk that is full, read-only or broken costs no row until memory for 8 MiB of them is used up, and raises nothing.
    """

    def __init__(self, run_folder: Path, gauges: Gauges, attempt: int = 0, disk: Disk | None = None) -> None:
        """Write into `run_folder`/metrics; `attempt` is the incarnation of this process."""
        folder = run_folder / "metrics"
        self._gauges, self._attempt = gauges, attempt
        self.disk = disk or Disk()
        self._rows, self._events = RowLog(folder, self.disk), EventLog(folder, attempt, self.disk)

    def begin(self, steps: int) -> None:
        """Say that this attempt goes on from `steps`: what earlier ones wrote beyond that is taken back."""
        now = time.time()
        self._rows.append({"time": now, "role": "run", "steps": steps, "attempt": self._attempt, RESUMED: steps})
        self._events.begin(now, steps)

    def write(self, role: str, steps: int, row: Mapping[str, Any]) -> None:
        """Write one row of `role` (`learner/0`, or `actor` for all of them) at `steps`.

        Values are numbers and short texts; others are left out. A number that is not finite becomes null.
        """
        now, plain = time.time(), {name: _plain(value) for name, value in row.items() if _fits(name, value)}
        about = {"time": now, "role": role, "steps": steps, "attempt": self._attempt}
        self._rows.append({**about, **plain})
        self._gauges.set(role, {"steps": steps, **plain})
        numbers = {name: float(value) for name, value in plain.items() if isinstance(value, int | float)}
        self._events.write(now, steps, role.split("/")[0], numbers)

    def close(self) -> None:
        """Write what still can be written, and close the files."""
        self._rows.close()
        self._events.close()


def _fits(name: Any, value: Any) -> bool:
    if not isinstance(name, str) or name in RESERVED:
        return False
    return value is None or isinstance(value, bool | int | float | str | np.number | np.bool_)


def _plain(value: Any) -> bool | int | float | str | None:
    """Return `value` as JSON has it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return value[:MAX_TEXT]
    # JSON readers take whole numbers as float64.
    if isinstance(value, int) and abs(value) > 2**1000 or isinstance(value, float) and not math.isfinite(value):
        return None
    plain: bool | int | float | None = value
    return plain
