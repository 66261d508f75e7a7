"""Tables of a page: one for each algorithm, group of tasks and budget, whose rows can be compared."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from learning.report import Table
from learning.rows import PEER, Row
from learning.tasks import GROUPS, OTHER, group_name

ORDER = (*GROUPS, OTHER)


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
    """Return the tables of `rows`. `reference` joins each; by default it is the same algorithm of another library."""
    keys = {Section(row.family, group_name(row.task), row.budget) for row in rows if row.contestant != reference}
    found = []
    for key in sorted(keys, key=lambda key: (ORDER.index(key.group), *key)):
        name = reference or f"{PEER}{key.family}"
        same = [row for row in rows if key.holds(row) and (row.family == key.family or row.contestant == name)]
        found.append(Table(same, floors, name, key.title))
    return found


def scored(rows: Iterable[Row], reference: str | None) -> set[str]:
    """Return the tasks on which a reference has a row: their scores need the return of a random policy."""
    return {row.task for row in rows if row.contestant == (reference or f"{PEER}{row.family}")}
