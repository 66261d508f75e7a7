"""Curves of one run: its metrics as columns, kept up to date by reading only what was written since."""

import threading
import time
from array import array
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from surreal.algorithms.recording.follow import RowFollower
from surreal.algorithms.recording.rows import Row
from surreal.algorithms.types import Array
from surreal.orchestrator.page.question import Asked

ABOUT = {"time", "role", "steps", "attempt"}
"""Keys of a row that say where its numbers belong."""
NUMBERS, LARGEST = {int, float}, 1e308
"""Types and bound of what is drawn."""
READINGS, MOST = 2**20, 2**32
"""Bounds of the two parts of a mark, which a browser holds exactly: readings of a whole run, and points of a curve."""
Series = tuple["array[float]", "array[float]", "array[float]"]
"""Environment steps, seconds since 1970, and values, in the order of writing."""


class Curves:
    """The numbers of a run by name, `learner.episode_return`. Any thread may ask."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of the metrics, or that of the run; it need not exist yet."""
        self._follower = RowFollower(folder)
        self._series: dict[tuple[str, str], Series] = defaultdict(_empty)
        # a mark of an earlier server says nothing
        self._reading = int(time.time()) % READINGS
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Take up what was written since the last call."""
        with self._lock:
            anew, rows = self._follower.new()
            if anew:
                self._series.clear()
                self._reading += 1
            self._add(rows)

    def names(self) -> list[str]:
        """Return the names of all curves, sorted."""
        with self._lock:
            return sorted(map(".".join, self._series))

    def mark(self, name: str) -> int:
        """Return a number that changes with every point of a curve."""
        with self._lock:
            return self._mark(name)

    def curve(self, name: str, asked: Asked, mark: int = -1) -> dict[str, Any]:
        """Return `mark`, and `x` and `y` of about `asked.points` points. Empty for a name without points.

        `mark` is that of an earlier answer, or -1. If `since` is that mark, only later points are in this answer; it
        is -1 if all are.
        """
        with self._lock:
            steps, times, values = (np.array(column) for column in self._of(name))
            now, reading = self._mark(name), self._reading
        x = steps if asked.axis == "steps" else times if asked.axis == "time" else (times - times[:1]) / 3600
        known = mark % MOST if mark // MOST == reading else 0
        added = known > 0 and len(x) - known <= asked.points and _goes_on(x, known)
        kept = thinned(x, values, asked, known if added else 0)
        return {"mark": now, "since": mark if added else -1, "x": x[kept].tolist(), "y": values[kept].tolist()}

    def _mark(self, name: str) -> int:
        return self._reading * MOST + len(self._of(name)[2])

    def _of(self, name: str) -> Series:
        role, _, key = name.partition(".")
        return self._series.get((role, key)) or _empty()

    def _add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            role, step, at = str(row.get("role", "")).partition("/")[0], row["steps"], row.get("time", 0.0)
            for key, value in row.items():
                if type(value) in NUMBERS and -LARGEST < value < LARGEST and key not in ABOUT:
                    steps, times, values = self._series[role, key]
                    steps.append(step)
                    times.append(at)
                    values.append(value)


def thinned(x: Array, values: Array, asked: Asked, known: int = 0) -> Array:
    """Return the indices [k] of the points to draw, in the order of the axis, without the first `known`."""
    # evaluations may come in later than they were begun
    order = np.arange(len(x)) if _ascends(x) else np.argsort(x, kind="stable")
    # one point beyond each end, so that lines leave the window instead of ending in it
    begin = 0 if asked.first is None else max(0, int(np.searchsorted(x[order], asked.first)) - 1)
    end = len(x) if asked.last is None else min(len(x), int(np.searchsorted(x[order], asked.last, "right")) + 1)
    order = order[max(begin, known) : end]
    return order[decimate(values[order], asked.points)]


def decimate(values: Array, points: int) -> Array:
    """Return ascending indices [k] of the points to draw, k about `points` at most: ends, minima and maxima.

    A curve drawn of them covers the same pixels as the whole one, where a mean would hide spikes.
    """
    count = len(values)
    if count <= max(points, 4):
        return np.arange(count)
    buckets = max(points, 4) // 2
    size = -(-count // buckets)
    # the last value fills the last bucket up: it is kept anyway
    filled = np.append(values, np.full(-count % size, values[-1])).reshape(-1, size)
    starts = size * np.arange(len(filled))
    drawn = np.zeros(count, bool)
    for extremes in (filled.argmin(axis=1), filled.argmax(axis=1)):
        drawn[np.minimum(starts + extremes, count - 1)] = True
    drawn[[0, -1]] = True
    return np.flatnonzero(drawn)


def _ascends(x: Array) -> bool:
    return bool((x[1:] >= x[:-1]).all())


def _goes_on(x: Array, known: int) -> bool:
    """Return True if all points from `known` on stand behind the earlier ones."""
    return bool(known < len(x) and x[known] >= x[:known].max() and _ascends(x[known:]))


def _empty() -> Series:
    return array("d"), array("d"), array("d")
