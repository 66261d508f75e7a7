"""Running the cells of a table that have no row in a home yet, ours and those of other libraries."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from learning.experiments import Experiments
from learning.peers import Peers, command_of
from learning.rows import PEER, Row, conventions, in_numbers, read_rows, unquoted
from learning.scheduler import Clock, run_cells, talk
from learning.table import Cell
from learning.tasks import check_task, group_of
from surreal.orchestrator.supervision.os_process import lock


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

    `busy` is kept in the rows. Raise FileNotFoundError where the interpreter of a peer is not installed, and ValueError
    where another suite works on `home`, or a run there has other settings.
    """
    home.mkdir(parents=True, exist_ok=True)
    held = lock(home / "lock")
    if held is None:
        raise ValueError(f"--home: another suite works on {str(home)!r}. Wait for it, or name another.")
    try:
        return _run_missing(wanted, home, clock, peers, parallel, busy)
    finally:
        os.close(held)


def _run_missing(
    wanted: Sequence[Cell], home: Path, clock: Clock, peers: Path | None, parallel: int, busy: bool
) -> int:
    experiments, others = Experiments(home / "surreal"), Peers(peers, home / "peers")

    def one(cell: Cell, clock: Clock) -> Row | None:
        row = (others if cell.contestant.peer else experiments).run(cell, clock)
        return row and in_numbers(replace(row, busy=busy or row.busy))

    there = {row.key: row for row in read_rows(home / "rows")}
    for cell in wanted:
        if cell.key in there:
            _check_same(cell, there[cell.key])
        for row in there.values():
            _check_joins(cell, row)
    missing = [cell for cell in wanted if cell.key not in there]
    for cell in missing:
        if cell.contestant.peer:
            others.python(cell)
            check_task(cell.task)
    experiments.check(missing)
    talk.print(f"{len(missing)} of {len(wanted)} runs to do", markup=False)
    left = run_cells(missing, home / "rows", one, parallel, clock, told)
    if left:
        talk.print(f"{left} {'run is' if left == 1 else 'runs are'} left; the same command goes on", markup=False)
    return left


def _check_same(cell: Cell, row: Row) -> None:
    """Raise ValueError where `row` came from another command than that of `cell`, but for the evaluations between."""
    commands = (row.command, command_of(cell) if cell.contestant.peer else cell.command)
    before, now = (re.sub(r" --every \S+", "", unquoted(command)) for command in commands)
    if before != now:
        words = f"there is a row of other settings: {row.command}"
        raise ValueError(f"{cell.name}: {words}. Name the contestant otherwise, or take another --home.")


def _check_joins(cell: Cell, row: Row) -> None:
    """Raise ValueError where `cell` would stand in a table with `row`, and is measured or made otherwise."""
    contestant, budget = cell.contestant, cell.budget
    if row.contestant == contestant.name and row.budget == budget.steps and row.word != contestant.word:
        words = f"--contestants: {row.contestant} is {row.word} in a row there, and {contestant.word} now"
        raise ValueError(f"{words}. Name it otherwise, or take another --home.")
    family, episodes = contestant.algorithm.removeprefix(PEER), conventions(budget.evaluate_episodes)["last"]
    alike = (row.family, group_of(row.task), row.budget) == (family, group_of(cell.task), budget.steps)
    if alike and row.contestant == contestant.name and row.layout and row.layout != cell.layout:
        words = f"--copies, --actors: {row.contestant} has {row.layout} in a row there, and {cell.layout} now"
        raise ValueError(f"{words}. Take those of the row, or another --home.")
    if alike and row.conventions.get("last", episodes) != episodes:
        words = f"--episodes: rows of {row.contestant} there have {row.conventions['last']!r}, and these would have"
        raise ValueError(f"{words} {episodes!r}. Take as many as there, or another --home.")


def told(cell: Cell, row: Row | None) -> None:
    """Say what became of `cell`."""
    if row is None:
        talk.print(f"{cell.name}: cut", markup=False)
        return
    figures = ", ".join(f"{name} {value:.1f}" for name, value in row.figures.items() if value is not None)
    talk.print(f"{cell.name}: {row.outcome} in {row.seconds / 60:.1f} min, {figures or row.reason}", markup=False)


def sentence(error: Exception) -> str:
    """Return what to say of an error: of a file that cannot be read or written, its name and why."""
    if not isinstance(error, OSError) or not error.errno:
        return str(error)
    # a write that fails knows no name
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
