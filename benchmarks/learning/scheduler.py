"""Running the cells that have no row yet, several at once, until all are done, the time is up or a signal came."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from rich.console import Console

from learning.rows import Row, write_row
from learning.table import Cell

Run = Callable[[Cell, "Clock"], Row | None]

talk = Console(stderr=True, highlight=False, soft_wrap=True)
LOOK = 0.5
"""Seconds between two looks at whether the time is up."""


class Clock:
    """The time that a suite has."""

    def __init__(self, minutes: float | None) -> None:
        self._end = None if minutes is None else time.monotonic() + 60 * minutes
        self._stopped = threading.Event()

    def over(self) -> bool:
        """True once the time is up; never without a limit."""
        return self._stopped.is_set() or (self._end is not None and time.monotonic() > self._end)

    def stop(self) -> None:
        """End the time now."""
        self._stopped.set()

    def stops_at(self, *signals: signal.Signals) -> None:
        """End the time at each of `signals`, also where the parent had them ignored, as nohup and `&` do."""
        for number in signals:
            signal.signal(number, lambda *_: self.stop())


def outlast(child: subprocess.Popen[str], clock: Clock) -> tuple[str, str] | None:
    """Return what `child` wrote until its end. Where the time is up first, kill its process group and return None."""
    while True:
        try:
            return child.communicate(timeout=LOOK)
        except subprocess.TimeoutExpired:
            if clock.over():
                os.killpg(child.pid, signal.SIGKILL)
                child.communicate()
                return None


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment with one thread for every numeric library, and `more`."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **one, **more}


def run_cells(
    cells: Iterable[Cell], folder: Path, run: Run, parallel: int, clock: Clock, told: Callable[[Cell, Row | None], None]
) -> int:
    """Run `cells`, `parallel` at once, and put their rows into `folder`. Return how many have none afterwards.

    A row is on disk as soon as its run is over, so a suite that is cut loses none and repeats none. Raise ValueError
    where the input of a cell is wrong and OSError where a file cannot be written, once all else has stopped.
    """

    def one(cell: Cell) -> bool:
        if clock.over():
            return False  # it never began, so nothing is to be told of it
        try:
            row = run(cell, clock)
            if row is not None:
                write_row(folder / f"{cell.name}.json", row)
        except (ValueError, OSError):
            clock.stop()
            raise
        told(cell, row)
        return row is not None

    with ThreadPoolExecutor(parallel) as pool:
        futures = [pool.submit(one, cell) for cell in cells]
        wait(futures)
        return sum(not future.result() for future in futures)
