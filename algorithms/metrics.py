"""Metrics of a run, in one place: `metrics/metrics.jsonl` for programs and TensorBoard events for people."""

import json
import math
import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from surreal.protocol.graph import role_of
from surreal.protocol.telemetry.gauges import Gauges


class Metrics:
    """Appends rows; every number of a row becomes a TensorBoard scalar `role/name` at the row's environment steps, and
    a gauge for Prometheus."""

    def __init__(self, run_folder: Path, gauges: Gauges) -> None:
        folder = run_folder / "metrics"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._gauges = gauges
        self._rows = (folder / "metrics.jsonl").open("a", buffering=1)
        self._events = EventFileWriter(str(folder), flush_secs=5)

    def write(self, role: str, steps: int, row: dict[str, Any]) -> None:
        """One row of `role` (`learner/0`) at `steps`. A number that is not finite becomes null: JSON has none."""
        now = time.time()
        finite = {name: None if _broken(value) else value for name, value in row.items()}
        self._rows.write(json.dumps({"time": now, "role": role, "steps": steps, **finite}) + "\n")
        self._gauges.set(role, {"steps": steps, **finite})
        kind = role_of(role)
        values = [
            Summary.Value(tag=f"{kind}/{name}", simple_value=float(value))
            for name, value in finite.items()
            if isinstance(value, int | float)
        ]
        self._events.add_event(Event(wall_time=now, step=steps, summary=Summary(value=values)))

    def close(self) -> None:
        """Flush and close both files."""
        self._rows.close()
        self._events.close()


def _broken(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


class Shares:
    """Where a role's time goes: seconds per activity, read as shares of the time between two readings."""

    def __init__(self, *activities: str) -> None:
        self._seconds = dict.fromkeys(activities, 0.0)
        self._since = time.perf_counter()

    def add(self, activity: str, seconds: float) -> None:
        """Count `seconds` of `activity`."""
        self._seconds[activity] += seconds

    def read(self) -> dict[str, float]:
        """`share_NAME` -> share of the wall clock since the last reading; starts anew."""
        now = time.perf_counter()
        elapsed, self._since = max(now - self._since, 1e-9), now
        shares = {f"share_{name}": seconds / elapsed for name, seconds in self._seconds.items()}
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        return shares
