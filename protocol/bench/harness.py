"""Ours beside theirs, in turns: what a case is, and how its rounds become one ratio."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, NamedTuple

MODULES = ("stream", "badpeers", "many", "fanout", "service")
"""Each has a function `cases()`."""


class Case(NamedTuple):
    """One comparison."""

    name: str
    ours: Callable[[float], float]
    """Measures for about so many seconds; the larger what it returns, the better."""
    raw: Callable[[float], float]
    """The same of what we compare with."""
    unit: str
    goal: float
    """The ratio of ours to raw to reach."""


@dataclass(frozen=True)
class Result:
    """A case, measured."""

    name: str
    unit: str
    ours: float
    """Median over the rounds."""
    raw: float
    ratio: float
    """Median of the rounds' ratios: both sides of one were measured within seconds of each other."""
    low: float
    high: float
    """The smallest and the largest ratio of a round."""
    goal: float

    @property
    def reached(self) -> bool:
        """True if the goal is reached."""
        return self.ratio >= self.goal

    def to_data(self) -> dict[str, Any]:
        """Return plain data for JSON and YAML."""
        return {**asdict(self), "reached": self.reached}


def all_cases() -> list[Case]:
    """Return every case, in the order of MODULES."""
    return [case for module in MODULES for case in import_module(f"surreal.protocol.bench.{module}").cases()]


def measure(case: Case, rounds: int, seconds: float) -> Result:
    """Measure both sides in turns. Only the ratio means anything: both move with the machine."""
    pairs = [(case.ours(seconds), case.raw(seconds)) for _ in range(rounds)]
    ratios = [ours / raw for ours, raw in pairs]
    ours, raw = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Result(case.name, case.unit, ours, raw, statistics.median(ratios), min(ratios), max(ratios), case.goal)


def select(cases: Sequence[Case], words: Sequence[str]) -> list[Case]:
    """Return the cases whose names contain one of `words`; all of them without words."""
    return [case for case in cases if not words or any(word.lower() in case.name.lower() for word in words)]
