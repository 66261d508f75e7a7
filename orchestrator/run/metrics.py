"""Metrics of a run as columns: each number that was written, with the environment steps at which it was."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surreal.algorithms.recording.rows import read_rows


@dataclass(frozen=True)
class Metrics(Mapping[str, list[float]]):
    """Name of a number -> its values, oldest first. Values that were not finite are left out."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    """All rows as they were written: `time`, `role`, `steps` and the numbers. A data frame can be made of them."""

    def __getitem__(self, name: str) -> list[float]:
        values = self.series(name)[1]
        if not values:
            raise KeyError(name)
        return values

    def __iter__(self) -> Iterator[str]:
        names = (name for row in self.rows for name, value in row.items() if _is_number(value))
        return iter(dict.fromkeys(names))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Metrics({len(self.rows)} rows of {', '.join(self) or 'nothing'})"

    def series(self, name: str, role: str | None = None) -> tuple[list[int], list[float]]:
        """Return environment steps and values of a number, of the processes of one role or of all."""
        found = [
            (int(row["steps"]), float(row[name]))
            for row in self.rows
            if _is_number(row.get(name)) and role in (None, str(row.get("role", "")).partition("/")[0])
        ]
        return [steps for steps, _ in found], [value for _, value in found]


def read_metrics(path: Path) -> Metrics:
    """Return the rows of a metrics.jsonl and of its older segments as one curve. A missing file has none."""
    return Metrics(list(read_rows(path.parent)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
