"""Rates of benchmarks: a run that is too short for one is said, and nothing is divided by zero."""

import subprocess
import sys

import pytest

from learning.numbers import per_second
from tests.benchmarks.suites import ROOT


def test_a_rate_is_that_from_the_first_row_to_the_last() -> None:
    rows = [{"elapsed": 1.0, "steps": 100}, {"elapsed": 2.0, "steps": 150}, {"elapsed": 3.0, "steps": 400}]
    assert per_second(rows, "steps", "--steps") == 150.0


@pytest.mark.parametrize("elapsed", [[], [1.0], [1.0, 1.0]])
def test_a_run_that_is_too_short_for_a_rate_is_said(elapsed: list[float]) -> None:
    rows = [{"elapsed": each, "steps": 100} for each in elapsed]
    with pytest.raises(SystemExit, match=rf"--steps: too few for a rate, .*; {len(rows)} counted here\. Give more\."):
        per_second(rows, "steps", "--steps")


def test_the_capacity_of_a_master_takes_two_generations() -> None:
    command = [sys.executable, "-W", "error", str(ROOT / "benchmarks"), "es.capacity", "--seconds", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "--seconds: 2 are less than two generations of 2. Give more." in done.stderr
