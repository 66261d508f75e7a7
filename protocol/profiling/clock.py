"""Offset between the clocks of two processes, measured from questions and answers between them."""

from collections import deque
from typing import NamedTuple

SAMPLES = 32
"""Round trips that are kept: of these the fastest counts."""


class Offset(NamedTuple):
    """Nanoseconds to add to a reading of one's own clock for that of the other process."""

    nanoseconds: int
    error: int
    """The true offset lies within this of it: half of the round trip. -1 where there was none yet."""


UNKNOWN = Offset(0, -1)


class OffsetEstimate:
    """Offset by the fastest of the last round trips (Cristian 1989): its answer was given in the middle, or near it."""

    def __init__(self) -> None:
        self._samples: deque[Offset] = deque(maxlen=SAMPLES)

    def add(self, asked: int, theirs: int, answered: int) -> None:
        """Take in one round trip: own clock at the question, the other clock at the answer, own clock then.

        One that ends before it began is of a clock that jumped, and does not count.
        """
        if answered >= asked:
            half = (answered - asked) // 2
            self._samples.append(Offset(theirs - asked - half, half))

    @property
    def best(self) -> Offset:
        """The offset as known now."""
        return min(self._samples, key=lambda sample: sample.error, default=UNKNOWN)
