"""Results in a run folder: its metrics as columns, and its saved policies."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from surreal.algorithms.recording.rows import read_rows
from surreal.orchestrator.run.home import Folder
from surreal.protocol.errors import InvalidInput, NotFound, did_you_mean
from surreal.protocol.worker.guard.goal import is_number

if TYPE_CHECKING:
    from surreal.algorithms.policies import Policy

Which = Literal["best", "last"]
"""Policy of a run: the one with the best evaluation, or that of the newest checkpoint."""
POLICY_FILES: dict[Which, str] = {"best": "checkpoints/best-", "last": "checkpoints/step-"}
"""Policy -> beginning of the names of its files in the run folder."""
MANIFEST = "manifest.json"
"""File of every checkpoint folder."""


class NoMetricError(NotFound, KeyError):
    """No number of that name; a KeyError too, as users of a Mapping expect."""

    __str__ = Exception.__str__
    """KeyError puts its text in quotes."""


class NoPolicyError(NotFound):
    """A run without the policy that was asked for."""

    def __init__(self, name: str, fact: str, other: Which | None) -> None:
        """Say of the run `name` what there is; `other` is the policy to take instead, None where there is none."""
        super().__init__(f"{name}: {fact} " + (f"Use policy({other!r})." if other else "Wait for a checkpoint."))
        self.fact = f"{name}: {fact}"
        self.other = other


@dataclass(frozen=True)
class Metrics(Mapping[str, list[float]]):
    """Name of a number -> its values, oldest first. Values that were not finite are left out.

    A name that no row has raises NotFound with the names that there are; `in` and `get` do not.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    """All rows as they were written: `time`, `role`, `steps` and the numbers. A data frame can be made of them."""

    def __getitem__(self, name: str) -> list[float]:
        return self.series(name)[1]

    def __iter__(self) -> Iterator[str]:
        names = (name for row in self.rows for name, value in row.items() if is_number(value))
        return iter(dict.fromkeys(names))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Metrics({len(self.rows)} rows of {', '.join(self) or 'nothing'})"

    def series(self, name: str, role: str | None = None) -> tuple[list[int], list[float]]:
        """Return environment steps and values of a number, of the processes of one role or of all.

        Both are empty where that role does not report it. Raises NotFound where no process does.
        """
        if not any(is_number(row.get(name)) for row in self.rows):
            raise self._missing(name)
        found = [
            (int(row["steps"]), float(row[name]))
            for row in self.rows
            if is_number(row.get(name)) and role in (None, str(row.get("role", "")).partition("/")[0])
        ]
        return [steps for steps, _ in found], [value for _, value in found]

    def _missing(self, name: str) -> NoMetricError:
        known = sorted(self)
        hint = f"There are: {', '.join(known)}." if known else "There are none yet: wait for the first row."
        return NoMetricError(f"metrics: no number {name!r}{did_you_mean(name, known)}. {hint}")

    def frame(self, library: Literal["pandas", "polars"] = "pandas") -> Any:
        """Return all rows as a data frame of pandas or polars, a column for each name and the oldest row first.

        Values that a row does not have are missing. Raises InvalidInput where the library is not installed.
        """
        if library not in ("pandas", "polars"):
            raise InvalidInput(f"library: {library!r} is not known. Use 'pandas' or 'polars'.")
        try:
            made = import_module(library)
        except ModuleNotFoundError:
            raise InvalidInput(f"library: {library} is not installed. Run: pip install {library}.") from None
        if library == "pandas":
            return made.DataFrame(self.rows)
        return made.from_dicts(self.rows, infer_schema_length=None) if self.rows else made.DataFrame()


def read_metrics(path: Path) -> Metrics:
    """Return the rows of a metrics.jsonl and of its older segments as one curve. A missing file has none."""
    return Metrics(list(read_rows(path.parent)))


def policy_files(which: Which) -> str:
    """Return the beginning of the names of a policy's files. Raises InvalidInput for no policy of a run."""
    if which not in POLICY_FILES:
        raise InvalidInput(f"which: {which!r} is no policy of a run. Use {' or '.join(map(repr, POLICY_FILES))}.")
    return POLICY_FILES[which]


def read_policy(folder: Path, which: Which, name: str, code: Path | None = None) -> "Policy":
    """Return the best or the last policy in the run folder of the run `name`.

    `code` holds the module of a network of the user's own; the default is the folder that the run was started with.
    Raises NoPolicyError if there is none yet, and InvalidInput for a damaged one or one of a later format.
    """
    from surreal.algorithms.policies import load_policy

    return load_policy(policy_folder(folder, which, name), code=code or code_folder(folder))


def policy_folder(folder: Path, which: Which, name: str) -> Path:
    """Return the checkpoint folder of that policy of the run `name`: `folder` itself where that is one.

    Raises NoPolicyError if there is none yet.
    """
    if (folder / MANIFEST).is_file():
        return folder
    # A checkpoint that is being written has another name until it is whole.
    found = sorted(folder.glob(f"{policy_files(which)}*/{MANIFEST}"))
    if not found:
        raise _no_policy(folder, which, name)
    return found[-1].parent


def _no_policy(folder: Path, which: Which, name: str) -> NoPolicyError:
    """Return the error that says what `folder` has instead; of a run elsewhere it has only what was asked for."""
    missing = "has no best policy: no evaluation has finished" if which == "best" else "has no checkpoint yet"
    other: Which = "last" if which == "best" else "best"
    there = sorted(folder.glob(f"{policy_files(other)}*/{MANIFEST}"))
    if there:
        steps = int(there[-1].parent.name.rpartition("-")[2])
        has = "newest checkpoint" if other == "last" else "best policy"
        return NoPolicyError(name, f"{missing}. Its {has} is of step {steps:,}.", other)
    if which == "best" and not Folder(folder).metrics.is_dir():
        return NoPolicyError(name, f"{missing}.", other)
    return NoPolicyError(name, f"{missing}{', and no checkpoint is saved' if which == 'best' else ''}.", None)


def code_folder(folder: Path) -> Path | None:
    """Return the folder of the user's own modules, as the run keeps it or names it; None if it is not here."""
    layout = Folder(folder)
    if layout.code.is_dir():
        return layout.code
    try:
        named = Path(json.loads(layout.provenance.read_text())["code"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return named if named.is_dir() else None
