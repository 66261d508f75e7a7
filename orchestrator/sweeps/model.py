"""Model of a sweep's file, `kind: Sweep`, and the points that it means: a grid's combinations, and random ones."""

import json
from collections.abc import Mapping, Sequence
from itertools import product
from math import exp, log
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from surreal.protocol.documents.models import API_VERSION, DnsLabel, Spec

Sampler = Literal["grid", "random", "tpe", "gp", "qmc", "cmaes"]
Pruner = Literal["none", "median", "halving", "hyperband"]
MAX_TRIALS = 10_000


class SweepMetadata(Spec):
    """Identity of a sweep."""

    name: Annotated[DnsLabel, Field(max_length=28)]
    """Begins the names of its runs, and is their label `sweep`."""


class RangeSpec(Spec):
    """Range of a number; whole numbers where both ends are."""

    low: int | float
    high: int | float
    log: bool = False
    """Even over orders of magnitude."""

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low {self.low!r} is not below high {self.high!r}. Exchange them.")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low!r} has no logarithm. Give a positive one, or leave out log.")
        return self

    @property
    def whole(self) -> bool:
        """True for whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)


def each_once(values: list[Any]) -> list[Any]:
    """Return the values. Raises ValueError for equal ones, which would be equal trials."""
    seen: set[str] = set()
    for value in values:
        whole = isinstance(value, float) and value.is_integer()
        same = json.dumps(int(value) if whole else value, sort_keys=True, default=repr)
        if same in seen:
            raise ValueError(
                f"{value!r} is there twice, and equal trials say nothing new. Leave one out, or add seeds."
            )
        seen.add(same)
    return values


Values = Annotated[list[Any], Field(min_length=1, max_length=1000)]


class BudgetSpec(Spec):
    """Limits of all runs together; what is reached first ends the sweep."""

    steps: Annotated[int, Field(gt=0)] | None = None
    """Environment steps."""
    hours: Annotated[float, Field(gt=0)] | None = None
    """Hours that runs have trained, added up over the runs."""
    cost: Annotated[float, Field(gt=0)] | None = None
    """Dollars by the prices of the plan."""


class SweepSpec(Spec):
    """Specification of a sweep."""

    experiment: Annotated[str, Field(min_length=1)]
    """Experiment file, relative to this file."""
    seeds: Annotated[int, Field(ge=1, le=1000)] = 1
    """Runs of each trial: with the seed of the experiment, and the numbers after it."""
    grid: dict[str, Values] = {}
    """Key of the experiment -> values; every combination is a trial."""
    space: dict[str, RangeSpec | Values] = {}
    """Key of the experiment -> range or choices, which a sampler draws from."""
    sampler: Sampler | None = None
    """By default grid for a grid, and tpe for a space. All but grid and random need `surreal[sweep]`."""
    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)] | None = None
    """Trials of a space."""
    sampler_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    parallel: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Runs at once: by default as many as the cores of this machine hold, or as a cluster has room for."""
    pruner: Pruner = "none"
    """Ends trials early that are hopeless beside the others: below their median, or in the worse part of a rung."""
    budget: BudgetSpec = BudgetSpec()

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if bool(self.grid) and bool(self.space):
            raise ValueError("space: it does not go with grid. Leave one of them out.")
        if self.space and self.trials is None:
            raise ValueError("trials: a space needs a number of them. Give one such as 20.")
        if self.space and self.sampler == "grid":
            raise ValueError("sampler: 'grid' takes its values from grid. Use random or tpe for a space.")
        if not self.space and self.sampler not in (None, "grid"):
            raise ValueError(f"sampler: {self.sampler!r} draws from a space. Add one.")
        return self

    @property
    def method(self) -> Sampler:
        """The sampler, said or not."""
        return self.sampler or ("tpe" if self.space else "grid")

    @property
    def needs_optuna(self) -> bool:
        """True where optuna chooses or prunes."""
        return self.method not in ("grid", "random") or self.pruner != "none"


class SweepDocument(Spec):
    """Model of the whole file."""

    model_config = {"title": "Sweep"}

    api_version: Literal["surreal.dev/v1alpha1"] = API_VERSION
    kind: Literal["Sweep"] = "Sweep"
    metadata: SweepMetadata
    spec: SweepSpec


def sweep_schema() -> dict[str, Any]:
    """Return a JSON Schema (2020-12) of the file."""
    schema = SweepDocument.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


Point = dict[str, Any]
"""Key of the experiment -> value."""
Space = Mapping[str, RangeSpec | list[Any]]


def grid_points(grid: Mapping[str, Sequence[Any]]) -> list[Point]:
    """Return every combination, the last key changing first; one empty point of an empty grid."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def random_point(space: Space, seed: int, number: int) -> Point:
    """Return the point of trial `number`: of the seed and the number alone, so that a restart repeats none."""
    rng = np.random.default_rng((seed, number))
    return {key: _drawn(values, rng) for key, values in space.items()}


def _drawn(values: RangeSpec | list[Any], rng: np.random.Generator) -> Any:
    if not isinstance(values, RangeSpec):
        return values[int(rng.integers(len(values)))]
    low, high = float(values.low), float(values.high)
    if values.whole:
        # Ends count as much as the numbers between them.
        low, high = low - 0.5 if not values.log else low, high + 0.5 if not values.log else high
    drawn = exp(rng.uniform(log(low), log(high))) if values.log else float(rng.uniform(low, high))
    return min(max(round(drawn), int(values.low)), int(values.high)) if values.whole else drawn
