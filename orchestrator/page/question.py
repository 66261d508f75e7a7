"""Questions of the page for curves of many runs at once, as JSON in the address."""

import json
from dataclasses import dataclass
from typing import Any

AXES = ("steps", "time", "hours")
MAX_POINTS = 5_000
"""Points of a curve in one answer; a screen has fewer columns."""
LARGEST = 1e300
"""Bound of a place on an axis."""
MAX_RUNS, MAX_CURVES = 200, 50
"""Runs and curves of one question."""


@dataclass(frozen=True)
class Asked:
    """Part of a curve that is seen."""

    axis: str = "steps"
    """`steps`, `time` (Unix seconds) or `hours` (since the first point)."""
    points: int = 1000
    """Points, about, at most."""
    first: float | None = None
    last: float | None = None
    """Ends on the axis; None for the end of the curve."""


@dataclass(frozen=True)
class CurveQuestion:
    """One curve, by its name `learner.episode_return`."""

    key: str
    asked: Asked
    marks: tuple[int, ...]
    """Marks of what the reader has of each run, in the order of `Question.runs`; -1 for one that it does not know."""


@dataclass(frozen=True)
class Question:
    """Curves of some runs."""

    runs: tuple[str, ...]
    curves: tuple[CurveQuestion, ...]


def parse(text: str) -> Question:
    """Return the question in JSON. Raises ValueError with a sentence for anything else."""
    try:
        data = json.loads(text)
    except RecursionError:
        raise ValueError("ask: is nested too deeply. Ask for curves of runs.") from None
    if not isinstance(data, dict):
        raise ValueError("ask: must be an object with axis, points, runs and curves.")
    axis, points = data.get("axis", "steps"), data.get("points", 1000)
    if axis not in AXES:
        raise ValueError(f"axis: {axis!r} is unknown. Use one of {', '.join(AXES)}.")
    if type(points) is not int or points < 1:
        raise ValueError(f"points: {points!r} is no number of points. Give a whole number above 0.")
    runs = tuple(str(name) for name in _list(data, "runs", MAX_RUNS))
    curves = tuple(_curve(each, axis, min(points, MAX_POINTS)) for each in _list(data, "curves", MAX_CURVES))
    return Question(runs, curves)


def _curve(data: Any, axis: str, points: int) -> CurveQuestion:
    if not isinstance(data, dict) or not isinstance(window := data.get("window", {}), dict):
        raise ValueError("curves: each must be an object with key, window and marks.")
    ends = tuple(_number(window[end], end) if end in window else None for end in ("from", "to"))
    marks = tuple(each for each in _list(data, "marks", MAX_RUNS) if type(each) is int)
    return CurveQuestion(str(data.get("key", "")), Asked(axis, points, *ends), marks)


def _list(data: dict[str, Any], key: str, longest: int) -> list[Any]:
    found = data.get(key, [])
    if not isinstance(found, list) or len(found) > longest:
        raise ValueError(f"{key}: must be a list of at most {longest}. Ask for the rest in another question.")
    return found


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        raise ValueError(f"{key}: {value!r} is no place on the axis. Give a number.")
    return float(value)
