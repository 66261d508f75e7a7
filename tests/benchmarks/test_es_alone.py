"""Does ES in one process do what an experiment does, and say what it cannot?"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from learning.experiments import read_metrics
from tests.benchmarks.suites import ROOT, SURREAL

pytestmark = pytest.mark.timeout(300)
TASK = "InvertedPendulum-v5"


def alone(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(ROOT / "benchmarks"), "es.alone", "--env", TASK, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def experiment(folder: Path) -> list[dict[str, float]]:
    """Rows of the master of an experiment with the defaults of ARS."""
    home, file = folder / "h", folder / "e.yaml"
    file.write_text(
        f"""apiVersion: surreal.dev/v1alpha1
kind: Experiment
metadata: {{name: a}}
spec:
  env: {{id: {TASK}, copies: 4}}
  algorithm: {{name: ars, config: {{total_steps: 1500, evaluate_episodes: 1}}}}
  roles: {{worker: {{replicas: 1}}}}
  seed: 3
"""
    )
    words = [SURREAL, "create", str(file)]
    done = subprocess.run(
        words, env={"SURREAL_HOME": str(home), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [row for row in read_metrics(home / "experiments" / "a" / "metrics" / "metrics.jsonl") if "updates" in row]


def test_it_takes_the_steps_that_an_experiment_takes(tmp_path: Path) -> None:
    last = experiment(tmp_path)[-1]
    done = alone("--mark", "10000", "--episodes", str(int(last["episodes"])), "--every", "1000", "--seeds", "3")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["episodes"], found["steps"]) == (last["episodes"], last["steps"])
    assert last["updates"] > 2


def test_it_ends_with_the_last_generation_within_the_episodes_and_evaluates_it() -> None:
    done = alone("--mark", "10000", "--episodes", "40", "--every", "1000")
    found = json.loads(done.stdout)
    assert found["episodes"] == 32 and found["reached"] is None and found["best"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--episodes", "8"], "8 are less than one generation, 16"),
        (["--set", "deterministic=false"], "deterministic has no meaning in one process"),
        (["--set", "top"], "'top' is no setting. Write KEY=VALUE."),
        (["--set", "top=3", "directions=2"], "--set: top is 3 of 2 directions"),
        (["--set", "sigma=[1"], "--set sigma: not YAML: expected ',' or ']'"),
        (["--set", "nope=1"], "--set: nope: Extra inputs are not permitted"),
    ],
)
def test_a_setting_that_it_cannot_have_is_one_sentence(words: list[str], said: str) -> None:
    done = alone("--mark", "900", "--episodes", "64", *words)
    assert done.returncode != 0 and said in done.stderr and "Traceback" not in done.stderr
