"""Has learning become worse than the table says? The interval that one more run is expected in."""

from collections.abc import Sequence

SLACK = 0.05
"""Share of the way from a random policy to the table's mean by which a run may lie outside of what was seen."""


def expected(values: Sequence[float], floor: float) -> tuple[float, float]:
    """Return the interval of one more run: the range of `values`, wider by its own width and by SLACK at each side.

    values: one figure of every seed in the table; floor: that of a policy that acts at random.
    """
    low, high = min(values), max(values)
    more = (high - low) + SLACK * abs(sum(values) / len(values) - floor)
    return low - more, high + more
