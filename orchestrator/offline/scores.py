"""Scores of the offline suite: normalised returns, last and best apart, interquartile means over tasks and seeds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from surreal.orchestrator.comparison.statistics import generator, interval, iqm
from surreal.protocol.errors import InvalidInput

SCORES = "scores.json"


@dataclass(frozen=True)
class Score:
    """Outcome of one run of a method on a task."""

    task: str
    seed: int
    point: str
    """Values of the grid that it had, as JSON; `{}` for none."""
    last: float
    """Normalised return of the last evaluation."""
    best: float
    """Score of the best evaluation, which only a look at the environment tells."""


def references(data: Path, source: str) -> tuple[float, float]:
    """Return the mean returns of random and of expert actions in an environment. Raises InvalidInput for none."""
    try:
        found = json.loads((data / SCORES).read_text())[source]
        return float(found["random"]), float(found["expert"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InvalidInput(f"--data: {data} has no reference of {source!r}. Run surreal offline generate.") from None


def note_reference(data: Path, source: str, found: Mapping[str, float]) -> None:
    """Write the reference returns of an environment into the folder of the datasets."""
    path = data / SCORES
    known = json.loads(path.read_text()) if path.exists() else {}
    part = path.with_suffix(".part")
    part.write_text(json.dumps({**known, source: dict(found)}, indent=1))
    part.replace(path)


def normalised(value: float, reference: tuple[float, float]) -> float:
    """Return 100 (R - random) / (expert - random)."""
    random, expert = reference
    return 100 * (value - random) / (expert - random)


def aggregate(scores: Sequence[Score], which: str) -> dict[str, Any]:
    """Return mean, interquartile mean and its interval of `last` or `best` over all runs; None for too few of them.

    The bootstrap draws seeds within tasks, so that the tasks stay as they are.
    """
    tasks = sorted({each.task for each in scores})
    rows = [[getattr(each, which) for each in scores if each.task == task] for task in tasks]
    every = np.concatenate([np.asarray(row) for row in rows])
    found: dict[str, Any] = {"mean": float(every.mean()), "iqm": float(iqm(every)), "interval": None}
    counts = {len(row) for row in rows}
    if len(counts) == 1:
        table = np.array(rows)
        limits = interval(table, lambda drawn: iqm(_joined(drawn)), generator(which))
        found["interval"] = None if limits is None else [float(np.mean(each)) for each in limits]
    return found


def _joined(drawn: Any) -> Any:
    """Return resamples [tasks, repetitions, runs] as [repetitions, tasks x runs]."""
    return np.moveaxis(drawn, 0, 1).reshape(drawn.shape[1], -1)


def report(scores: Sequence[Score]) -> dict[str, Any]:
    """Return all as plain data: each run, the means of each task, and the whole, last and best apart."""
    tasks = {}
    for task in sorted({each.task for each in scores}):
        own = [each for each in scores if each.task == task]
        tasks[task] = {which: float(np.mean([getattr(each, which) for each in own])) for which in ("last", "best")}
        tasks[task]["seeds"] = len(own)
    whole = {which: aggregate(scores, which) for which in ("last", "best")} if scores else {}
    return {"runs": [asdict(each) for each in scores], "tasks": tasks, "all": whole}


def best_point(scores: Sequence[Score]) -> str:
    """Return the values of the grid with the highest mean of last scores. Raises InvalidInput where there are none."""
    points = sorted({each.point for each in scores})
    if not points:
        raise InvalidInput("--grid: no run has ended. Run it again.")
    return max(points, key=lambda point: float(np.mean([each.last for each in scores if each.point == point])))
