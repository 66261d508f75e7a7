"""Curves of runs: what each scored at which step and time, read from its metrics."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from surreal.algorithms.recording.rows import read_rows
from surreal.algorithms.types import Array
from surreal.protocol.errors import InvalidInput

Metric = Literal["eval_return", "episode_return"]
METRICS: tuple[Metric, ...] = ("eval_return", "episode_return")
"""Scores, the one without exploration first."""
SAID: dict[Metric, str] = {
    "eval_return": "returns of evaluations, without exploration",
    "episode_return": "returns of training episodes, with exploration",
}
FINAL_SHARE = 0.1
"""Last share of the steps whose mean is the final return."""


@dataclass(frozen=True)
class Curve:
    """Scores of one run, in order of steps."""

    run: str
    made_of: dict[str, Any]
    """`spec` (env, algorithm, roles), `seed` and `labels`; empty where they are not known."""
    steps: Array
    values: Array
    seconds: Array
    """Seconds of training at each of the steps."""
    steps_per_second: float | None

    @property
    def seed(self) -> int | None:
        """Seed of the run."""
        found = self.made_of.get("seed")
        return int(found) if isinstance(found, int) else None

    @property
    def final(self) -> float:
        """Mean over the last tenth of the steps."""
        first, last = float(self.steps[0]), float(self.steps[-1])
        return float(self.values[self.steps >= last - FINAL_SHARE * (last - first)].mean())

    @property
    def best(self) -> float:
        """Largest score."""
        return float(self.values.max())

    @property
    def mean(self) -> float:
        """Mean over the steps: the area below the curve by its width."""
        if self.steps[-1] == self.steps[0]:
            return float(self.values.mean())
        widths = np.diff(self.steps)
        return float(((self.values[1:] + self.values[:-1]) / 2 * widths).sum() / widths.sum())

    def reached(self, threshold: float) -> tuple[float, float] | None:
        """Return (steps, seconds) at which a score was `threshold` or more for the first time; None for never."""
        above = np.flatnonzero(self.values >= threshold)
        return (float(self.steps[above[0]]), float(self.seconds[above[0]])) if len(above) else None


@dataclass(frozen=True)
class Recorded:
    """Metrics of one run, as far as a comparison needs them."""

    run: str
    made_of: dict[str, Any]
    scores: dict[Metric, tuple[list[int], list[float]]]
    clock: tuple[list[int], list[float]]
    """Steps and seconds of training."""

    def curve(self, metric: Metric) -> Curve:
        """Return the curve of a score that it has."""
        steps, values = (np.asarray(each, dtype=np.float64) for each in self.scores[metric])
        order = np.argsort(steps, kind="stable")
        steps, values = steps[order], values[order]
        at, seconds = (np.asarray(each, dtype=np.float64) for each in self.clock)
        known = len(at) > 0
        clock = np.interp(steps, at, seconds) if known else np.full(len(steps), np.nan)
        speed = float(at[-1] - at[0]) / float(seconds[-1] - seconds[0]) if known and seconds[-1] > seconds[0] else None
        return Curve(self.run, self.made_of, steps, values, clock, speed)


def read(run: str, folder: Path, plan: Path) -> Recorded:
    """Return what a comparison needs of the metrics in `folder`. Raises InvalidInput for a run without any score."""
    scores: dict[Metric, tuple[list[int], list[float]]] = {}
    clock: tuple[list[int], list[float]] = ([], [])
    for row in read_rows(folder):
        steps = row["steps"]
        for metric in METRICS:
            value = row.get(metric)
            if type(value) is float or type(value) is int:
                at, values = scores.setdefault(metric, ([], []))
                at.append(steps)
                values.append(value)
        elapsed = row.get("elapsed")
        if isinstance(elapsed, float):
            clock[0].append(steps)
            clock[1].append(elapsed)
    if not scores:
        raise InvalidInput(f"{run}: it has no returns yet. Wait until an episode has ended, or leave it out.")
    return Recorded(run, _settings(plan), scores, clock)


def _settings(plan: Path) -> dict[str, Any]:
    """Return what a run was made of, by the keys of its file; empty where its plan cannot be read."""
    try:
        data = json.loads(plan.read_bytes())
        spec = {
            "env": data["env"],
            "algorithm": {"name": data["algorithm"], "config": data["config"]},
            "roles": {role["name"]: {"replicas": role["replicas"]} for role in data["roles"]},
        }
        return {"spec": spec, "seed": data["seed"], "labels": data.get("labels") or {}}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def flat(data: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield (dotted key, value as JSON) of all leaves of a document."""
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from flat(value, (*path, str(key)))
    else:
        yield ".".join(path), json.dumps(data)
