"""Rows of a table: what one run came to, as JSON on disk."""

import json
import os
import re
import shlex
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

FIGURES = ("training", "last", "best")
"""Training return at the end; deterministic evaluation of the last weights; best evaluation of the run."""
CURVE_POINTS = 100
PEER = "sb3-"
"""Beginning of the names of what another library provides."""
TRAINING = "exploring, mean of the last 100 episodes"
EVOLUTION = ("es", "ars")
PERTURBED = "perturbed policies, mean of the last generation; steps of results that came too late are not counted"
STEPS, OF_ALGORITHM = re.compile(r"--steps (\d+)"), re.compile(r"--contestants [^ =]+=([^ :]+):")
LAYOUT = re.compile(r"--copies \d+ --actors \d+")
WORD = re.compile(r"--contestants (.+?) --seeds ")

Curve = list[tuple[int, float, float]]
"""Environment steps, seconds of training, training return."""


def unquoted(command: str) -> str:
    """Return the command of a row as older rows have it: the word of its contestant without a shell's quotes."""
    found = WORD.search(command)
    if not found or not found[1].startswith("'"):
        return command
    return command.replace(found[1], shlex.split(found[1])[0], 1)


def conventions(episodes: int, algorithm: str = "") -> dict[str, str]:
    """Return how each figure of a run of `algorithm` with evaluations of `episodes` is measured."""
    deterministic = f"deterministic, mean of {episodes} episodes"
    return {
        "training": PERTURBED if algorithm in EVOLUTION else TRAINING,
        "last": f"{deterministic}, last weights",
        "best": f"{deterministic}, best evaluation of the run",
    }


@dataclass(frozen=True)
class Row:
    """One run: what was run, how it ended, its figures and how these are measured."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    contestant: str
    task: str
    seed: int
    outcome: str
    """`succeeded` or `failed`."""
    reason: str = ""
    steps: int = 0
    seconds: float = 0.0
    figures: dict[str, float | None] = field(default_factory=dict)
    conventions: dict[str, str] = field(default_factory=dict)
    curve: Curve = field(default_factory=list)
    command: str = ""
    versions: dict[str, Any] = field(default_factory=dict)
    machine: str = ""
    busy: bool = False
    """The machine did other work too: `seconds` say nothing, and no table shows them."""
    algorithm: str = ""
    """Algorithm of the contestant, which has its name where none is said."""
    budget: int = 0
    """Steps that the run was given; it ends with a batch, and so takes some more."""

    @property
    def clocked(self) -> float:
        """Seconds that may be compared; 0 where there are none."""
        return 0.0 if self.busy else self.seconds

    @property
    def key(self) -> tuple[str, str, int, int]:
        """Key that no two rows share."""
        return self.contestant, self.task, self.budget, self.seed

    @property
    def family(self) -> str:
        """Algorithm, whichever library provides it."""
        return (self.algorithm or self.contestant).removeprefix(PEER)

    @property
    def word(self) -> str:
        """Word of the contestant on the command line, which has its settings; its name where another library ran."""
        found = WORD.search(unquoted(self.command))
        return found[1] if found else self.contestant

    @property
    def layout(self) -> str:
        """Options of its command that say its layout; empty where another library ran."""
        found = LAYOUT.search(self.command)
        return found[0] if found else ""

    def line(self) -> str:
        """The row as a line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    def figure(self, name: str) -> float | None:
        """The figure `name`; None where the run failed or has none."""
        return self.figures.get(name) if self.outcome == "succeeded" else None


ROW: TypeAdapter[Row] = TypeAdapter(Row)


def read_rows(folder: Path) -> list[Row]:
    """Return the rows of a folder of files, or of one file of JSON lines, by key.

    Raise ValueError on a broken row, and on two rows of one run.
    """
    files = sorted(file for file in folder.glob("*.json") if file.is_file()) if folder.is_dir() else [folder]
    rows: dict[tuple[str, str, int, int], Row] = {}
    for file in files:
        for number, line in enumerate(_lines(file), 1):
            row = _row(f"{file}:{number}", line)
            if row.key in rows:
                words = f"a second row of {row.contestant} on {row.task}, {row.budget:,} steps, seed {row.seed}"
                raise ValueError(f"{file}:{number}: {words}. Delete the one that is wrong.")
            rows[row.key] = row
    return [rows[key] for key in sorted(rows)]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines() if file.exists() else []
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not rows of a table: {error}. Delete or mend it.") from None


def _row(place: str, line: str) -> Row:
    try:
        return _completed(ROW.validate_json(line))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        why = f"{key}: {first['msg']}" if key else first["msg"]
        raise ValueError(f"{place}: not a row of a table: {why}. Mend it, or delete it to run its cell anew.") from None


def _completed(row: Row) -> Row:
    """Return `row` with what rows did not say before there were several budgets: their commands have it."""
    steps, named = STEPS.search(row.command), OF_ALGORITHM.search(row.command)
    budget = row.budget or (int(steps[1]) if steps else 0)
    return replace(row, budget=budget, algorithm=row.algorithm or (named[1] if named else ""))


def in_numbers(row: Row) -> Row:
    """Return `row` as a table can hold it: a run whose figures are no numbers has failed, and its curve has gaps."""
    row = replace(row, curve=[point for point in row.curve if all(map(isfinite, point))])
    wrong = [f"{name} is {value}" for name, value in row.figures.items() if value is not None and not isfinite(value)]
    if not wrong:
        return row
    return replace(row, outcome="failed", reason=f"figures that are no numbers: {', '.join(wrong)}", figures={})


def write_row(path: Path, row: Row) -> None:
    """Put `row` into `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path, row.line())


def put(path: Path, text: str) -> None:
    """Make `text` the content of `path`, all of it or none."""
    # a page may be made beside a suite that works, of the same files
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_text(text)
        os.replace(half, path)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None


def thinned(curve: Curve) -> Curve:
    """Return at most CURVE_POINTS points of `curve`, the last among them."""
    stride = max(1, -(-len(curve) // CURVE_POINTS))
    return curve[::-1][::stride][::-1]
