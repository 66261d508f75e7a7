"""Tables of a page: one for each algorithm, group of tasks and budget, whose rows can be compared."""

from collections.abc import Sequence
from typing import NamedTuple

from learning.report import Table
from learning.rows import PEER, Row
from learning.tasks import GROUPS, OTHER, group_name

ORDER = (*GROUPS, OTHER)
REFERENCES = {"impala": f"{PEER}ppo"}
"""Algorithms that are compared with another one of the other library, which lacks them."""


class Section(NamedTuple):
    """Key of a table."""

    family: str
    group: str
    budget: int

    @property
    def title(self) -> str:
        """Heading of the table."""
        return f"{self.family} on {self.group}, {self.budget:,} steps"

    def holds(self, row: Row) -> bool:
        """Return True if `row` is of the same tasks and steps."""
        return (group_name(row.task), row.budget) == (self.group, self.budget)


def tables(rows: Sequence[Row], floors: dict[str, float], reference: str | None) -> list[Table]:
    """Return the tables of `rows`. `reference` joins each; by default it is that of the algorithm."""
    keys = {Section(row.family, group_name(row.task), row.budget) for row in rows if row.contestant != reference}
    found = []
    for key in sorted(keys, key=lambda key: (ORDER.index(key.group), *key)):
        name = reference or reference_of(key.family)
        same = [row for row in rows if key.holds(row) and (row.family == key.family or row.contestant == name)]
        found.append(Table(same, floors, name, key.title))
    return found


def reference_of(family: str) -> str:
    """Return the contestant whose mean is 1 in the tables of an algorithm: the other library's, or of REFERENCES."""
    return REFERENCES.get(family, f"{PEER}{family}")


def scored(rows: Sequence[Row], reference: str | None) -> set[str]:
    """Return the tasks on which a reference has a row: their scores need the return of a random policy."""
    names = {reference} if reference else {reference_of(row.family) for row in rows}
    return {row.task for row in rows if row.contestant in names}
