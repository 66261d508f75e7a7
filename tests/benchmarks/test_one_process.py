"""Does an ablation in one process come out the same every time, and does a setting change it?"""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.benchmarks.suites import ROOT

pytestmark = pytest.mark.slow
TASK = "InvertedPendulum-v5"


def run(*words: str) -> Any:
    command = [sys.executable, "-W", "error", str(ROOT / "benchmarks" / "one_process.py"), "--env", TASK]
    return json.loads(
        subprocess.run([*command, *words], capture_output=True, text=True, timeout=300, check=True).stdout
    )


def trained(*settings: str) -> dict[str, object]:
    said = run("--steps", "8000", *(("--set", *settings) if settings else ()))
    return {key: said[key] for key in ("steps", "training", "evaluations")}


def test_a_run_comes_out_the_same_twice_and_otherwise_with_another_setting() -> None:
    first = trained()
    assert trained() == first
    assert trained("max_staleness=0")["evaluations"] != first["evaluations"]


def test_a_run_that_ends_earlier_is_the_beginning_of_the_whole_one() -> None:
    whole, cut = (run("--steps", "8000", *words) for words in ((), ("--until", "4096")))
    assert cut["steps"] == 4096 and cut["training"] == {row[0]: row[1] for row in whole["curve"]}[4096]


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--set", "gama=1"), "gama"), (("--env", "Nope-v5"), "Nope"), (("--seed", "-1"), "argument --seed")],
)
def test_a_mistake_is_told_without_a_traceback(words: tuple[str, ...], said: str) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "one_process.py"), "--env", TASK, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode and said in done.stderr and "Traceback" not in done.stderr
