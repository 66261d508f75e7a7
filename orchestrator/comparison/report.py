"""Reports: the figures of each contestant, as plain data for a table, JSON, CSV and parquet."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from surreal.algorithms.types import Array
from surreal.orchestrator.comparison.contestants import Contestant
from surreal.orchestrator.comparison.curves import Curve
from surreal.orchestrator.comparison.statistics import generator, improvement, interval, iqm, kept
from surreal.protocol.errors import InvalidInput

POINTS = 101
"""Steps at which curves are laid over each other."""
CURVE_REPETITIONS = 500
COLUMNS = ("contestant", "run", "seed", "steps", "seconds", "value")


@dataclass(frozen=True)
class Figures:
    """Figures of one contestant."""

    contestant: Contestant
    final: float
    best: float
    mean: float
    iqm: float
    low: float | None
    """Bootstrap interval of 95 % of `iqm`; None for fewer than three runs."""
    high: float | None
    improvement: float | None
    """Probability that a run of it ends better than one of the first contestant; None of the first itself."""
    steps_per_second: float | None
    reached: int
    """Runs that reached the threshold."""
    steps_to: float | None
    """Mean over those."""
    seconds_to: float | None

    def to_data(self) -> dict[str, Any]:
        """Return plain data."""
        numbers = {key: value for key, value in vars(self).items() if key != "contestant"}
        runs = [{"run": curve.run, "seed": curve.seed, "final": curve.final} for curve in self.contestant.curves]
        return {
            "name": self.contestant.name,
            "settings": self.contestant.settings,
            "iqm_of": kept(len(runs)),
            **numbers,
            "runs": runs,
        }


def figures(found: Sequence[Contestant], threshold: float | None, comparable: bool) -> list[Figures]:
    """Return the figures of all contestants; without `comparable` none is said to be better than the first."""
    return [_figures(each, found[0] if comparable and each is not found[0] else None, threshold) for each in found]


def _figures(each: Contestant, first: Contestant | None, threshold: float | None) -> Figures:
    finals = np.array([curve.final for curve in each.curves])
    bounds = interval(finals, iqm, generator(each.name))
    speeds = [curve.steps_per_second for curve in each.curves if curve.steps_per_second is not None]
    hits = [hit for curve in each.curves if threshold is not None and (hit := curve.reached(threshold))]
    return Figures(
        each,
        float(finals.mean()),
        max(curve.best for curve in each.curves),
        float(np.mean([curve.mean for curve in each.curves])),
        float(iqm(finals)),
        float(bounds[0]) if bounds else None,
        float(bounds[1]) if bounds else None,
        improvement(list(finals), [curve.final for curve in first.curves]) if first else None,
        float(np.mean(speeds)) if speeds else None,
        len(hits),
        float(np.mean([steps for steps, _ in hits])) if hits else None,
        float(np.mean([seconds for _, seconds in hits])) if hits else None,
    )


@dataclass(frozen=True)
class Band:
    """Curve of a contestant: interquartile mean over its runs and the interval, at steps that all of them reached."""

    name: str
    steps: Array
    middle: Array
    low: Array | None
    high: Array | None


def band(each: Contestant) -> Band:
    """Return the curve of a contestant."""
    first = max(float(curve.steps[0]) for curve in each.curves)
    last = max(first, min(float(curve.steps[-1]) for curve in each.curves))
    steps = np.linspace(first, last, POINTS)
    values = np.stack([np.interp(steps, curve.steps, curve.values) for curve in each.curves], axis=-1)
    bounds = interval(values, iqm, generator(each.name), CURVE_REPETITIONS)
    return Band(each.name, steps, iqm(values), *(bounds or (None, None)))


def rows(found: Sequence[Contestant]) -> Iterator[tuple[Any, ...]]:
    """Yield the values of COLUMNS for each point of each run."""
    for each in found:
        for curve in each.curves:
            yield from _rows(each.name, curve)


def _rows(name: str, curve: Curve) -> Iterator[tuple[Any, ...]]:
    points = zip(curve.steps.tolist(), curve.seconds.tolist(), curve.values.tolist(), strict=True)
    for steps, seconds, value in points:
        yield name, curve.run, curve.seed, int(steps), None if seconds != seconds else seconds, value


def write_csv(found: Sequence[Contestant], path: Path) -> None:
    """Write all points, one a line. Raises OSError."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows(found))


def write_parquet(found: Sequence[Contestant], path: Path) -> None:
    """Write all points as a table of parquet. Raises OSError, and InvalidInput where pyarrow is missing."""
    try:
        arrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        raise InvalidInput("--parquet: it needs a package. Install it: pip install 'surreal[parquet]'.") from None
    kinds = (arrow.string(), arrow.string(), arrow.int64(), arrow.int64(), arrow.float64(), arrow.float64())
    columns = list(zip(*rows(found), strict=True))
    arrays = [arrow.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    parquet.write_table(arrow.table(arrays, names=COLUMNS), path)
