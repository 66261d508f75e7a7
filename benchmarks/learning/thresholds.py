"""Time until a contestant's training return reaches shares of what the reference ends with."""

from collections.abc import Sequence
from statistics import mean, median
from typing import TYPE_CHECKING

from learning.rows import Row

if TYPE_CHECKING:
    from learning.report import Table

SHARES = (0.5, 1.0)
NEVER = float("inf")


def reached(row: Row, threshold: float) -> tuple[float, float]:
    """Return the environment steps and seconds at which the training return first reached `threshold`, or infinity."""
    for steps, seconds, value in row.curve:
        if value >= threshold:
            return steps, seconds
    return NEVER, NEVER


def threshold_lines(table: "Table") -> list[str]:
    """Return a table of the median steps and minutes to SHARES of the reference's final training return."""
    shares = [f"{share:.0%}" for share in SHARES]
    head = [
        "task",
        "contestant",
        *(f"steps to {share}" for share in shares),
        *(f"minutes to {share}" for share in shares),
    ]
    lines = [f"| {' | '.join(head)} |", f"| --- | --- |{' --: |' * (2 * len(SHARES))}"]
    for task in table.tasks:
        ends = [value for row in table.of(table.reference, task) if (value := row.figure("training")) is not None]
        if not ends or (end := mean(ends)) <= (floor := table.floors[task]):
            continue
        for contestant in table.contestants:
            rows = table.of(contestant, task)
            if rows:
                cells = _cells(rows, [(1 - share) * floor + share * end for share in SHARES])
                lines.append(f"| {task} | {contestant} | {' | '.join(cells)} |")
    if len(lines) == 2:
        return []
    said = f"Until the training return reaches a share of the final one of {table.reference}, medians over seeds:"
    return [said, "", *lines]


def _cells(rows: Sequence[Row], thresholds: Sequence[float]) -> list[str]:
    pairs = [[reached(row, threshold) for row in rows] for threshold in thresholds]
    steps = [median(steps for steps, _ in pair) for pair in pairs]
    minutes = [median(seconds / 60 for _, seconds in pair) for pair in pairs]
    words = ["never" if value == NEVER else f"{value:,.0f}" for value in steps]
    if any(row.busy for row in rows):
        return [*words, *["-"] * len(thresholds)]
    return [*words, *("never" if value == NEVER else f"{value:.1f}" for value in minutes)]
