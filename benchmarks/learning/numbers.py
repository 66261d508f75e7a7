"""Numbers of a benchmark: those of its command line, refused before anything runs, and rates of metrics."""

import sys
from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any


def natural(text: str) -> int:
    """Read a whole number from 0 on, such as a seed."""
    if text.isdecimal():
        return int(text)
    raise ArgumentTypeError(f"{text!r} is no whole number from 0 on")


def count(text: str) -> int:
    """Read a whole number from 1 on."""
    if text.isdecimal() and int(text):
        return int(text)
    raise ArgumentTypeError(f"{text!r} is no whole number from 1 on")


def positive(text: str) -> float:
    """Read a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if number > 0 and isfinite(number):
        return number
    raise ArgumentTypeError(f"{text!r} is no number above 0")


def per_second(rows: Sequence[Mapping[str, Any]], key: str, more: str, clock: str = "elapsed") -> float:
    """Return by how much `key` grew a second from the first row to the last. `clock` has the seconds.

    End the program where no time is between them; `more` is the option that makes a run longer.
    """
    if len(rows) < 2 or rows[-1][clock] <= rows[0][clock]:
        few = f"{more}: too few for a rate, which needs two rows of metrics; {len(rows)} counted here. Give more."
        sys.exit(f"{sys.argv[0]}: error: {few}")
    return float((rows[-1][key] - rows[0][key]) / (rows[-1][clock] - rows[0][clock]))
