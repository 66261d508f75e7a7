"""Does the scaling over actors make runs of equal updates, and a table of them?"""

import subprocess
import sys
from pathlib import Path

import pytest

from learning.experiments import read_metrics
from scaling import arguments, cell
from tests.benchmarks.suites import ROOT, Suite

WORDS = ("--task", "Pendulum-v1", "--updates", "4", "--copies", "2", "--scale", "2", "--episodes", "1")


def lines(home: Path) -> list[list[str]]:
    command = [sys.executable, "-W", "error", str(ROOT / "benchmarks" / "scaling.py"), "--home", str(home), *WORDS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if "|" in line]


@pytest.mark.timeout(300)
def test_actors_add_data_to_an_update_and_none_to_the_updates(suite: Suite) -> None:
    head, _, one, two = lines(suite.home)
    assert head[:2] == ["actors", "steps of an update"] and head[4] == "return at 4 updates"
    assert (one[:2], two[:2]) == (["1", "256"], ["2", "512"])
    for actors in (1, 2):
        run = cell(arguments(["--home", str(suite.home), *WORDS]), actors, 1)
        assert max(row.get("updates", 0) for row in read_metrics(suite.metrics(run.name))) == 4
    assert lines(suite.home)[2] == one
