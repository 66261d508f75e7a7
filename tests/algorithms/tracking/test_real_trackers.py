"""The libraries themselves, without a network, where they are installed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.algorithms.tracking.test_tracking import write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def run(folder: Path, track: dict[str, dict[str, str]], said: str) -> str:
    about = {"folder": str(folder), "name": "one", "track": track, "config": {"gamma": 0.9}}
    done = subprocess.run(
        [sys.executable, "-m", "surreal.algorithms.tracking"],
        input=json.dumps(about) + "\n" + said,
        text=True,
        capture_output=True,
        timeout=600,
        cwd=folder,
    )
    return done.stderr


def test_mlflow_has_every_number_with_its_step_over_a_restart(tmp_path: Path) -> None:
    tracking = pytest.importorskip("mlflow.tracking", reason="mlflow is not installed")
    write(tmp_path, {"time": 1.0, "steps": 10, "loss": 2.0, "a:b": 1.0})
    assert "spec.track" not in run(tmp_path, {"mlflow": {"experiment": "e"}}, "")
    write(tmp_path, {"time": 2.0, "steps": 20, "loss": 1.0})
    assert "spec.track" not in run(tmp_path, {"mlflow": {"experiment": "e"}}, "succeeded\n")
    client = tracking.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    number = json.loads((tmp_path / "track.json").read_text())["mlflow"]["run"]
    assert [(each.step, each.value) for each in client.get_metric_history(number, "learner/loss")] == [
        (10, 2.0),
        (20, 1.0),
    ]
    assert client.get_run(number).info.status == "FINISHED" and client.get_run(number).data.params["gamma"] == "0.9"
    assert client.get_metric_history(number, "learner/a_b")


def test_wandb_writes_offline_files_below_the_run_folder(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    write(tmp_path, {"time": 1.0, "steps": 10, "loss": 2.0})
    assert "spec.track" not in run(tmp_path, {"wandb": {"project": "p", "mode": "offline"}}, "succeeded\n")
    (written,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    assert b"learner/loss" in written.read_bytes()
