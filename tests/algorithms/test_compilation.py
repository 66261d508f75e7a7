"""Compilation by numba: told where no cache holds the loops, and not where one does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from surreal.algorithms.devices import told
from surreal.protocol.transport.stats import ACTIVITY

LOOPS = """
from surreal.algorithms.devices import kept
from surreal.protocol.transport.stats import ACTIVITY
def add(one, other):
    return one + other
add = kept(add)
"""
PROGRAM = """
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
import loops
from surreal.algorithms.models.byhand.compiling import Compiler
def load():
    loops.add(1, 2)
    loops.add(1.0, 2.0)
    print("doing", loops.ACTIVITY.doing)
    return True
assert Compiler(load).loaded()
print("doing", loops.ACTIVITY.doing)
"""


def lines(folder: Path) -> list[str]:
    """What a process prints that has two variants of a loop compiled or loaded, with its cache in the folder."""
    own = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=own, capture_output=True, text=True, check=True)
    return [line.strip() for line in done.stdout.splitlines()]


def test_the_first_process_says_once_that_it_compiles_and_the_next_one_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text(LOOPS)
    began, doing, ended, after = lines(tmp_path)
    assert began == "compiling the gradients for this machine, once: it takes some seconds of a free core"
    assert doing == "doing compiles the gradients (once for this machine)"
    assert ended.startswith("compiled the gradients in ") and ended.endswith(" s, kept on disk for other runs")
    assert after == "doing"
    assert lines(tmp_path) == ["doing", "doing"]


def test_what_fails_to_compile_is_no_longer_told() -> None:
    from numba import njit

    def wrong() -> int:
        return undefined  # type: ignore[name-defined,no-any-return]  # noqa: F821

    with pytest.raises(Exception, match="undefined"), told("the gradients"):
        njit(wrong)()
    assert ACTIVITY.doing == ""
