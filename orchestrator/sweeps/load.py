"""Sweep files and options: read, checked against the experiment, before anything starts."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.groups import GROUP
from surreal.orchestrator.sweeps.model import Point, RangeSpec, SweepDocument, each_once, grid_points
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.effects import shown
from surreal.protocol.documents.locations import KeyPath, Problem, Source
from surreal.protocol.documents.models import API_VERSION, validated
from surreal.protocol.errors import InvalidInput

TRIAL = "trial"
"""Label of a run: the number of its trial."""


@dataclass(frozen=True)
class Sweep:
    """A checked sweep and its experiment."""

    document: SweepDocument
    experiment: Experiment

    @property
    def name(self) -> str:
        """Name of the group."""
        return self.document.metadata.name

    @property
    def seeds(self) -> list[int]:
        """Seeds of each trial."""
        first = self.experiment.spec.seed
        return list(range(first, first + self.document.spec.seeds))

    def run(self, number: int, point: Point, seed: int) -> Experiment:
        """Return the experiment of one run. Raises InvalidInput for values that do not fit together."""
        data = self.experiment.to_data()
        for key, value in point.items():
            _put(data, key, value)
        labels = {**data["metadata"]["labels"], GROUP: self.name, TRIAL: str(number)}
        data["metadata"] = {"name": run_name(self.name, number, seed), "labels": labels}
        data["spec"]["seed"] = seed
        return Experiment.from_data(data, self.experiment.source, self.experiment.folder)


def run_name(sweep: str, number: int, seed: int) -> str:
    """Return the name of a run."""
    return f"{sweep}-{number}-s{seed}"


def load_sweep(path: Path, overrides: Sequence[str] = ()) -> Sweep:
    """Read a sweep file; `overrides` are of its experiment. Raises InvalidInput that names every problem."""
    data, source = strictyaml.load_file(path)
    return _checked(data, source, path.absolute().parent, overrides)


def sweep_of(file: Path, name: str | None, overrides: Sequence[str], **spec: Any) -> Sweep:
    """Return the sweep of an experiment file and options. Raises InvalidInput that names every problem."""
    experiment = load_experiment(file, overrides)
    data = {
        "apiVersion": API_VERSION,
        "kind": "Sweep",
        "metadata": {"name": name or f"{experiment.name[:22].rstrip('-')}-sweep"},
        "spec": {"experiment": str(file), **{key: value for key, value in spec.items() if value not in (None, {})}},
    }
    return _checked(data, OfOptions("surreal sweep"), Path.cwd(), overrides)


class OfOptions(Source):
    """Source of a sweep that options describe, so errors name these."""

    def locate(self, path: KeyPath) -> str:
        """Return the option of a key, and the key of the experiment that it is about."""
        _, option, *keys = (*path, "", "")[: max(2, len(path))]
        return " ".join((f"--{option}", ".".join(map(str, keys)))).strip()

    def invalid(self, problems: Iterable[Problem]) -> InvalidInput:
        """Return one error; a problem of several options together begins with the name of one."""
        return super().invalid(
            (("spec", *text.split(": ", 1)[:1]), text.split(": ", 1)[-1]) if path == ("spec",) else (path, text)
            for path, text in problems
        )


def is_sweep(path: Path) -> bool:
    """Return True for a file of `kind: Sweep`."""
    data, _ = strictyaml.load_file(path)
    return isinstance(data, dict) and data.get("kind") == "Sweep"


def grid_option(text: str) -> tuple[str, list[Any]]:
    """Return key and values of `spec.seed=1,2,3`, the values in YAML. Raises InvalidInput for another form."""
    key, equals, values = text.partition("=")
    if not equals or not key.strip() or not values.strip():
        raise InvalidInput(f"--grid {text}: must be path.to.key=value,value. For example: spec.env.copies=4,8")
    found, _ = strictyaml.load(f"[{values}]", Source(f"--grid {key}", has_lines=False))
    try:
        return key.strip(), each_once(found)
    except ValueError as error:
        raise InvalidInput(f"--grid {key.strip()}: {error}") from None


def by_key(option: str, pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return pairs as a mapping. Raises InvalidInput for a key that is given twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidInput(f"{option} {key}: is given twice. Give all of it in one {option}.")
        found[key] = value
    return found


def space_option(text: str) -> tuple[str, dict[str, Any]]:
    """Return key and range of `KEY=LOW..HIGH` or `KEY=LOW..HIGH,log`. Raises InvalidInput for another form."""
    key, _, values = text.partition("=")
    ends, _, how = values.partition(",")
    low, dots, high = ends.partition("..")
    if not dots or not key.strip() or how not in ("", "log"):
        raise InvalidInput(f"--space {text}: is no range. Write path.to.key=LOW..HIGH or =LOW..HIGH,log.")
    (low_value, high_value), _ = strictyaml.load(f"[{low}, {high}]", Source(f"--space {key}", has_lines=False))
    return key.strip(), {"low": low_value, "high": high_value, **({"log": True} if how else {})}


def _checked(data: Any, source: Source, folder: Path, overrides: Sequence[str]) -> Sweep:
    document, problems = validated(SweepDocument, data)
    if problems or document is None:
        raise source.invalid(problems)
    if twice := list(_twice(document)):
        raise source.invalid(twice)
    sweep = Sweep(document, load_experiment(folder / document.spec.experiment, overrides))
    for key in (*document.spec.grid, *document.spec.space):
        if key in ("spec.seed", "metadata.name") or not key.startswith("spec."):
            raise InvalidInput(f"{key}: a sweep sets it itself. Use seeds, or another key.")
    for point in corners(document):
        with at_point(point):
            sweep.run(0, point, sweep.seeds[0])
    return sweep


def _twice(document: SweepDocument) -> Iterator[Problem]:
    """Yield the lists with equal values. One that is recorded may have some, of before they were refused."""
    spec = document.spec
    for part, keys in (("grid", spec.grid), ("space", spec.space)):
        for key, values in keys.items():
            try:
                each_once(values if isinstance(values, list) else [])
            except ValueError as error:
                yield ("spec", part, key), str(error)


def corners(document: SweepDocument) -> list[Point]:
    """Return points that hold every value of the grid, and both ends of every range."""
    spec = document.spec
    if spec.grid:
        return [{key: value} for key, values in spec.grid.items() for value in values] + grid_points(spec.grid)[:1]
    found: list[Point] = []
    for key, values in spec.space.items():
        ends = [values.low, values.high] if isinstance(values, RangeSpec) else values
        found += [{key: value} for value in ends]
    return found or [{}]


@contextmanager
def at_point(point: Point) -> Iterator[None]:
    """Have an InvalidInput of the block name the keys and values of the sweep instead of a line of the experiment."""
    try:
        yield
    except InvalidInput as error:
        said = ", ".join(f"{key}={shown(value)}" for key, value in point.items())
        text = str(error).splitlines()[0]
        raise InvalidInput(f"{said}: {_without_place(text, point)}" if said else text) from None


def _without_place(text: str, point: Point) -> str:
    """Return an error without the line of the experiment's file, whose value is another one."""
    return next((after for key in point if (after := text.partition(f"{key}: ")[2])), text)


def _put(data: dict[str, Any], key: str, value: Any) -> None:
    *above, last = key.split(".")
    for part in above:
        inner = data.setdefault(part, {})
        if not isinstance(inner, dict):
            raise InvalidInput(f"{key}: {part} is {shown(inner)}, which has no keys. Set that key itself.")
        data = inner
    data[last] = value
