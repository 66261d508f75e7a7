"""Count of the fragments that a run refused: over the lives of those that refuse, and of the process that counts."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from surreal.algorithms.recording.disk import replace_file

FILE = "metrics/refused.json"
"""File in the run folder; it lies with the metrics, which a store keeps."""


class Counted(NamedTuple):
    """Fragments that one process refused."""

    earlier: int
    """Sum over its earlier lives."""
    incarnation: int
    """Its newest life that has reported."""
    newest: int
    """Number in that life so far."""


class Refused:
    """Fragments that all processes together have refused.

    A process counts from 0 in each life. One that is gone reports no more, so that its count is kept on disk.
    """

    def __init__(self, run_folder: Path) -> None:
        """Go on from what an earlier life of this process counted."""
        self._path, self._changed = run_folder / FILE, False
        self._counted: dict[str, Counted] = {}
        # A file that is missing or damaged costs the counts of processes that are gone.
        with suppress(OSError, ValueError, TypeError, AttributeError):
            self._counted = {name: _counted(row) for name, row in json.loads(self._path.read_bytes()).items()}

    def add(self, process: str, incarnation: int, count: Any) -> None:
        """Take in what `process` has counted in its life `incarnation`; a value that is no count says nothing."""
        if type(count) is not int or count < 0:
            return
        before = self._counted.get(process, Counted(0, incarnation, 0))
        if incarnation < before.incarnation:  # the last words of a life that is over
            return
        anew = incarnation > before.incarnation or count < before.newest
        now = Counted(before.earlier + before.newest * anew, incarnation, count)
        if now != before and now.earlier + now.newest:
            self._counted[process], self._changed = now, True

    @property
    def total(self) -> int:
        """Fragments of all processes."""
        return sum(each.earlier + each.newest for each in self._counted.values())

    def write(self) -> None:
        """Write what is new to the file. Raises OSError."""
        if self._changed:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, json.dumps(self._counted))
            self._changed = False


def _counted(row: list[int]) -> Counted:
    if len(row) != len(Counted._fields) or any(type(each) is not int for each in row):
        raise ValueError(f"{row} is no count")
    return Counted(*row)
