"""Numbers on the command line of a benchmark: what is none is refused before anything runs."""

from argparse import ArgumentTypeError
from math import isfinite


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
