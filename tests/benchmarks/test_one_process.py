"""Does an ablation in one process come out the same every time, and does a setting change it?"""

import json
import subprocess
import sys

import pytest

from tests.benchmarks.suites import ROOT

pytestmark = pytest.mark.slow


def trained(*settings: str) -> dict[str, object]:
    command = [sys.executable, "-W", "error", str(ROOT / "benchmarks" / "one_process.py")]
    words = ["--env", "InvertedPendulum-v5", "--steps", "8000", *(("--set", *settings) if settings else ())]
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=300, check=True)
    said: dict[str, object] = json.loads(done.stdout)
    return {key: said[key] for key in ("steps", "training", "evaluations")}


def test_a_run_comes_out_the_same_twice_and_otherwise_with_another_setting() -> None:
    first = trained()
    assert trained() == first
    assert trained("max_staleness=0")["evaluations"] != first["evaluations"]
