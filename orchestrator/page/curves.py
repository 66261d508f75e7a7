"""Curves of one run: its metrics as columns, kept up to date by reading only what was written since."""

import threading
from array import array
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from surreal.algorithms.recording.follow import RowFollower
from surreal.algorithms.recording.rows import Row

ABOUT = ("time", "role", "steps", "attempt")
"""Keys of a row that say where its numbers belong."""
Series = tuple["array[float]", "array[float]", "array[float]"]
"""Environment steps, seconds since 1970, and values, in the order of writing."""


class Curves:
    """The numbers of a run by name, `learner.episode_return`. Any thread may ask."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of the metrics, or that of the run; it need not exist yet."""
        self._follower = RowFollower(folder)
        self._series: dict[str, Series] = defaultdict(_empty)
        self._lock = threading.Lock()

    def names(self) -> dict[str, int]:
        """Return name -> number of points."""
        with self._lock:
            self._refresh()
            return {name: len(series[2]) for name, series in sorted(self._series.items())}

    def count(self, name: str) -> int:
        """Return the number of points of a curve; 0 for a name without points."""
        with self._lock:
            self._refresh()
            return len(self._series[name][2]) if name in self._series else 0

    def curve(
        self, name: str, axis: str, points: int, first: float | None = None, last: float | None = None
    ) -> dict[str, Any]:
        """Return `n`, the number of points, and `x` and `y` of about `points` of them between `first` and `last`.

        `axis` is `steps`, `time` (Unix seconds) or `hours` (since the first point). Empty for a name without points.
        """
        with self._lock:
            self._refresh()
            steps, times, values = (np.array(column) for column in self._series.get(name, _empty()))
        x = steps if axis == "steps" else times if axis == "time" else (times - times[:1]) / 3600
        if (np.diff(x) < 0).any():
            # evaluations may come in later than they were begun
            order = np.argsort(x, kind="stable")
            x, values = x[order], values[order]
        # one point beyond each end, so that lines leave the window instead of ending in it
        begin = 0 if first is None else max(0, int(np.searchsorted(x, first)) - 1)
        end = len(x) if last is None else min(len(x), int(np.searchsorted(x, last, "right")) + 1)
        kept = decimate(values[begin:end], points)
        return {"n": len(values), "x": x[begin:end][kept].tolist(), "y": values[begin:end][kept].tolist()}

    def _refresh(self) -> None:
        anew, rows = self._follower.new()
        if anew:
            self._series.clear()
        self._add(rows)

    def _add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            process, time = str(row.get("role", "")), float(row.get("time", 0.0))
            for key, value in row.items():
                if key not in ABOUT and _is_number(value):
                    steps, times, values = self._series[f"{process.partition('/')[0]}.{key}"]
                    steps.append(float(row["steps"]))
                    times.append(time)
                    values.append(float(value))


def decimate(values: "np.ndarray[Any, Any]", points: int) -> "np.ndarray[Any, Any]":
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
    extremes = np.concatenate([starts + filled.argmin(axis=1), starts + filled.argmax(axis=1)])
    return np.unique(np.clip(np.concatenate([[0, count - 1], extremes]), 0, count - 1))


def _empty() -> Series:
    return array("d"), array("d"), array("d")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
