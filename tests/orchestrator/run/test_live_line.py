"""The line that a program shows of its run: in place on a terminal, in a notebook's cell, now and then elsewhere."""

import io
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from surreal.orchestrator import live
from surreal.orchestrator.live import CLEAR, LiveLine
from surreal.orchestrator.run.status import Status

RUNNING = Status("toy", "local", "/runs/toy", "running", "")


class Screen(io.StringIO):
    """A standard error that is a terminal or none."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def shown(monkeypatch: pytest.MonkeyPatch, terminal: bool, *statuses: Status) -> str:
    """What is printed for these statuses, one after the other at once."""
    screen = Screen(terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    with LiveLine() as line:
        for status in statuses:
            line.show(status)
    return screen.getvalue()


def steps(number: int) -> Status:
    """A status at so many steps."""
    return replace(RUNNING, progress=replace(RUNNING.progress, steps=number))


def test_a_terminal_has_one_line_that_ends_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, True, steps(1), steps(1), replace(steps(2), reason="actor/0 failed"))
    assert text.count(CLEAR) == 2 and text.count("\n") == 1 and text.endswith("actor/0 failed\n")


def test_elsewhere_a_line_comes_now_and_then_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    over = replace(steps(9), state="succeeded")
    lines = shown(monkeypatch, False, steps(1), steps(2), steps(3), over).splitlines()
    assert len(lines) == 2 and "1 steps" in lines[0] and "succeeded" in lines[1]


def test_nothing_is_printed_for_a_run_that_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, True) == shown(monkeypatch, False) == ""


def test_a_notebook_gets_the_text_in_the_display_of_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    updates: list[str] = []
    display: Any = SimpleNamespace(update=lambda text: updates.append(repr(text)))
    python, cell = ModuleType("IPython"), ModuleType("IPython.display")
    vars(python)["get_ipython"] = lambda: SimpleNamespace(kernel=object())
    vars(cell)["display"] = lambda text, display_id: display
    monkeypatch.setitem(sys.modules, "IPython", python)
    monkeypatch.setitem(sys.modules, "IPython.display", cell)
    assert shown(monkeypatch, True, steps(1), replace(steps(2), reason="waits")) == ""
    assert len(updates) == 2 and updates[1].endswith("\nwaits")


def test_a_shell_without_a_kernel_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    python = ModuleType("IPython")
    vars(python)["get_ipython"] = lambda: SimpleNamespace()
    monkeypatch.setitem(sys.modules, "IPython", python)
    assert live._notebook_display() is None
