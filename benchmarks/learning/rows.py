"""Rows of a table: what one run came to, as JSON on disk."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FIGURES = ("training", "last", "best")
"""Training return at the end; deterministic evaluation of the last weights; best evaluation of the run."""
CURVE_POINTS = 100
TRAINING = "exploring, mean of the last 100 episodes"

Curve = list[tuple[int, float, float]]
"""Environment steps, seconds of training, training return."""


def conventions(episodes: int) -> dict[str, str]:
    """Return how each figure of a run with evaluations of `episodes` is measured."""
    deterministic = f"deterministic, mean of {episodes} episodes"
    return {
        "training": TRAINING,
        "last": f"{deterministic}, last weights",
        "best": f"{deterministic}, best evaluation of the run",
    }


@dataclass(frozen=True)
class Row:
    """One run: what was run, how it ended, its figures and how these are measured."""

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

    @property
    def clocked(self) -> float:
        """Seconds that may be compared; 0 where there are none."""
        return 0.0 if self.busy else self.seconds

    @property
    def key(self) -> tuple[str, str, int]:
        """Key that no two rows of a table share."""
        return self.contestant, self.task, self.seed

    def line(self) -> str:
        """The row as a line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    def figure(self, name: str) -> float | None:
        """The figure `name`; None where the run failed or has none."""
        return self.figures.get(name)


def read_rows(folder: Path) -> list[Row]:
    """Return the rows of a folder of files, or of one file of JSON lines, by key. Raise ValueError on a broken row."""
    files = sorted(folder.glob("*.json")) if folder.is_dir() else [folder]
    found = [_row(file, line) for file in files if file.exists() for line in file.read_text().splitlines()]
    rows = {row.key: row for row in found}
    return [rows[key] for key in sorted(rows)]


def _row(file: Path, line: str) -> Row:
    try:
        return Row(**json.loads(line))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file}: not a row of a table: {error}. Delete the file to have its cell run anew.") from None


def write_row(path: Path, row: Row) -> None:
    """Put `row` into `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path, row.line())


def put(path: Path, text: str) -> None:
    """Make `text` the content of `path`, all of it or none."""
    half = path.with_suffix(".half")
    half.write_text(text)
    os.replace(half, path)


def thinned(curve: Curve) -> Curve:
    """Return at most CURVE_POINTS points of `curve`, the last among them."""
    stride = max(1, -(-len(curve) // CURVE_POINTS))
    return curve[::-1][::stride][::-1]
