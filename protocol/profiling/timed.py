"""Timed function: its calls are counted and timed, for an operation whose pieces are too small to be spans."""

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


class Timed:
    """A function whose calls are counted and timed."""

    __slots__ = ("_function", "key", "nanoseconds", "times")

    def __init__(self, function: Callable[..., Any], key: int) -> None:
        self._function, self.key = function, key
        self.nanoseconds = self.times = 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        began = perf_counter_ns()
        try:
            return self._function(*arguments, **named)
        finally:
            self.nanoseconds += perf_counter_ns() - began
            self.times += 1

    def taken(self) -> tuple[int, int]:
        """Return nanoseconds and calls since the last look."""
        found = self.nanoseconds, self.times
        self.nanoseconds = self.times = 0
        return found
