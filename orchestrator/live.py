"""Live line of a run: one line in place on a terminal and in a notebook, a line now and then elsewhere."""

import sys
import time
from importlib import import_module
from typing import Any, Self

from surreal.orchestrator.run.describe import line
from surreal.orchestrator.run.status import Status

PLAIN_S = 5.0
"""Seconds between two lines where they cannot replace each other."""
CLEAR = "\r\x1b[2K"
"""Return to the start of the line and erase it."""


class LiveLine:
    """A context manager that shows statuses on stderr, or in the output of a notebook's cell."""

    def __init__(self) -> None:
        self._display = _notebook_display()
        self._in_place = self._display is None and sys.stderr.isatty()
        self._next = 0.0
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._in_place and self._last:
            print(file=sys.stderr)

    def show(self, status: Status) -> None:
        """Show a status; equal ones are shown once, and plain lines only every few seconds."""
        text = line(status) + (f"\n{status.reason}" if status.reason else "")
        if text == self._last:
            return
        if self._display is not None:
            self._display.update(_Text(text))
        elif self._in_place:
            print(CLEAR + text.replace("\n", "  "), end="", file=sys.stderr, flush=True)
        elif status.over or time.monotonic() >= self._next:
            self._next = time.monotonic() + PLAIN_S
            print(text, file=sys.stderr, flush=True)
        self._last = text


class _Text:
    """Text that a notebook shows as it is, without the quotes of a string."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _notebook_display() -> Any:
    """Return a display of the running notebook's cell; None outside of notebooks."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    return import_module("IPython.display").display(_Text("starting"), display_id=True)
