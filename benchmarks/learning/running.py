"""Running the cells of a table that have no row in a home yet, ours and those of other libraries."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from learning.experiments import Experiments
from learning.peers import Peers
from learning.rows import Row, read_rows
from learning.scheduler import Clock, run_cells
from learning.table import Cell

talk = Console(stderr=True, highlight=False, soft_wrap=True)


def run_missing(
    wanted: Sequence[Cell],
    home: Path,
    clock: Clock,
    *,
    peers: Path | None = None,
    parallel: int = 1,
    busy: bool = False,
) -> int:
    """Run every cell without a row in `home` until `clock` is over. Return how many are left.

    `busy` is kept in the rows. Raise FileNotFoundError where the interpreter of a peer is not installed.
    """
    experiments, others = Experiments(home / "surreal"), Peers(peers)

    def one(cell: Cell, clock: Clock) -> Row | None:
        row = (others if cell.contestant.peer else experiments).run(cell, clock)
        return row and replace(row, busy=busy)

    there = {row.key for row in read_rows(home / "rows")}
    missing = [cell for cell in wanted if cell.key not in there]
    for cell in missing:
        if cell.contestant.peer:
            others.python(cell)
    talk.print(f"{len(missing)} of {len(wanted)} runs to do", markup=False)
    left = run_cells(missing, home / "rows", one, parallel, clock, told)
    if left:
        talk.print(f"{left} {'run is' if left == 1 else 'runs are'} left; the same command goes on", markup=False)
    return left


def told(cell: Cell, row: Row | None) -> None:
    """Say what became of `cell`."""
    if row is None:
        talk.print(f"{cell.name}: cut", markup=False)
        return
    figures = ", ".join(f"{name} {value:.1f}" for name, value in row.figures.items() if value is not None)
    talk.print(f"{cell.name}: {row.outcome} in {row.seconds / 60:.1f} min, {figures or row.reason}", markup=False)
