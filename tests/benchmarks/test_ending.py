"""A benchmark that SIGTERM ends, as `timeout` does, leaves no run, no process and no file behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from learning.ending import own_home
from tests.benchmarks.suites import ROOT

BENCHMARKS = str(ROOT / "benchmarks")
pytestmark = pytest.mark.timeout(300)


def within(folder: Path) -> list[psutil.Process]:
    """Return the processes of runs whose SURREAL_HOME is in `folder`."""
    found = []
    for each in psutil.process_iter():
        try:
            if each.environ().get("SURREAL_HOME", "").startswith(str(folder)):
                found.append(each)
        except psutil.Error:
            continue
    return found


def left(folder: Path) -> list[Path]:
    """Return what is in a folder of temporary files, but for a cache that torch keeps there."""
    return [*folder.glob("tmp*"), *folder.glob("surreal-*")]


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


@pytest.mark.parametrize(
    "words",
    [
        (f"{BENCHMARKS}/r2d2_states.py", "--seeds", "1", "--ways", "stored"),
        (BENCHMARKS, "beside.ppo", "--peers", "none", "--steps", "100000000", "--only", "example"),
        (BENCHMARKS, "verbs.sweep", "--alone", "1", "--steps", "100000000"),
    ],
    ids=["by its path", "by its name", "with a loop of its own"],
)
def test_a_script_that_is_ended_ends_its_runs(tmp_path: Path, words: tuple[str, ...]) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-W", "error", *words], env=environment, stderr=subprocess.PIPE) as script:
        until(lambda: list(tmp_path.glob("*/experiments/*/metrics/metrics.jsonl")), "the run has begun")
        script.send_signal(signal.SIGTERM)
        script.communicate(timeout=120)
    assert script.returncode == 128 + signal.SIGTERM
    until(lambda: not within(tmp_path), "every process is gone")
    assert left(tmp_path) == []


def test_a_run_that_is_only_about_to_be_made_is_not_made_later(tmp_path: Path) -> None:
    words, environment = (BENCHMARKS, "beside.offpolicy", "--rounds", "1"), {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-W", "error", *words], env=environment, stderr=subprocess.PIPE) as script:
        until(lambda: within(tmp_path), "surreal create begins")
        script.send_signal(signal.SIGTERM)
        script.communicate(timeout=120)
    until(lambda: not within(tmp_path), "every process is gone")
    assert left(tmp_path) == []


def test_a_process_that_no_variable_knows_yet_ends_before_its_home_goes() -> None:
    asleep, before = [sys.executable, "-c", "import time; time.sleep(600)"], signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), own_home() as home:
        begun = subprocess.Popen(asleep, env={**os.environ, "SURREAL_HOME": home})
        other = subprocess.Popen(asleep)
        raise KeyboardInterrupt
    try:
        assert not psutil.pid_exists(begun.pid) and other.poll() is None
        assert not Path(home).exists()
    finally:
        begun.wait()
        signal.signal(signal.SIGTERM, before)
        other.kill()
        other.wait()
