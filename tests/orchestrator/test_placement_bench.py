"""Reading and placing on a large cluster, beside the figure it is to reach; measured, never a gate."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.bench
def test_ten_thousand_nodes_and_a_hundred_roles_take_two_seconds_at_most() -> None:
    command = [sys.executable, str(BENCHMARKS), "cluster.placement"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    seconds = [float(line.split("both ")[1].removesuffix(" s")) for line in done.stdout.splitlines()]
    assert min(seconds) < 2.0, done.stdout
