"""Runs with `device: cuda` as a user starts them: they compute on the GPU, end with success, and are resumed."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.algorithms.gpu.device import DEVICE, NEEDS_GPU
from tests.homes import Home

pytestmark = NEEDS_GPU
LSTM = {"memory": {"kind": "lstm", "size": 16}}
COMMON = {"evaluate_episodes": 1, "evaluation_episode_cap": 200, "device": DEVICE}
REPLAY = {"min_size": 200, "capacity": 5_000}
RUNS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ppo": ("ppo", "CartPole-v1", {"total_steps": 4_000, "fragment_steps": 64}),
    "ppo-lstm-central": (
        "ppo",
        "CartPole-v1",
        {"total_steps": 2_000, "fragment_steps": 64, "network": LSTM, "inference": "central"},
    ),
    "impala-minatar": (
        "impala",
        "MinAtar/Breakout-v1",
        {"total_steps": 4_000, "fragment_steps": 20, "network": {"encoder": "small-cnn", "activation": "relu"}},
    ),
    "sac": ("sac", "Pendulum-v1", {"total_steps": 1_500, "replay": REPLAY}),
    "dqn": ("dqn", "CartPole-v1", {"total_steps": 2_000, "replay": REPLAY}),
    "r2d2": (
        "r2d2",
        "CartPole-v1",
        {
            "total_steps": 2_000,
            "network": LSTM,
            "batch": 8,
            "burn_in": 4,
            "fragment_steps": 30,
            "updates_per_step": 0.02,
            "replay": {**REPLAY, "sequence_length": 12, "sequence_overlap": 6},
        },
    ),
}


class OnGpu(Home):
    """A home whose runs compute as a user's would."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, hidden=("NVIDIA_TF32_OVERRIDE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"))

    def create(self, kind: str, *words: str, **changes: Any) -> subprocess.CompletedProcess[str]:
        """Train one of the runs above."""
        name, env, config = RUNS[kind]
        wrappers = {"wrappers": [{"time_limit": 500}]} if "MinAtar" in env else {}
        spec = {
            "env": {"id": env, "copies": 4, **wrappers},
            "algorithm": {"name": name, "config": {**COMMON, **config, **changes}},
            "roles": {"actor": {"replicas": 1}},
            "checkpoints": {"everySeconds": 0.5},
            "seed": 1,
        }
        about = {"apiVersion": "surreal.dev/v1alpha1", "kind": "Experiment", "metadata": {"name": "small"}}
        file = self.path / "experiment.yaml"
        file.write_text(yaml.safe_dump({**about, "spec": spec}))
        return self("create", str(file), *words)

    def until(self, steps: int) -> Any:
        """The status once the run is so far."""
        deadline = time.monotonic() + 120
        while (status := self.status())["steps"] < steps:
            assert time.monotonic() < deadline and status["state"] in ("starting", "running"), (status, self.log())
            time.sleep(0.2)
        return status

    def log(self, process: str = "learner-0.1") -> str:
        """What a process wrote."""
        path = self.path / "experiments" / "small" / "logs" / f"{process}.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def home() -> Iterator[OnGpu]:
    with OnGpu.temporary() as surreal:
        yield surreal


def on_device(log: str) -> bool:
    """True if a log says that its process computes on the GPU."""
    return DEVICE == "cpu" or "computing on cuda:0" in log


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_on_a_gpu_ends_with_success(home: OnGpu, kind: str) -> None:
    if "MinAtar" in RUNS[kind][1]:
        pytest.importorskip("minatar")
    done = home.create(kind)
    assert done.returncode == 0, done.stdout + done.stderr + home.log()
    status = home.status()
    assert status["state"] == "succeeded" and status["steps"] >= RUNS[kind][2]["total_steps"]
    assert [each["restarts"] for role in status["roles"].values() for each in role if each["restarts"]] == []
    assert on_device(home.log()), home.log()
    assert "RNN module weights" not in home.log()
    if "central" in kind:
        assert on_device(home.log("inference-0.1")), home.log("inference-0.1")


@pytest.mark.parametrize("kind", ["ppo", "sac"])
def test_a_stopped_run_on_a_gpu_resumes_where_it_was(home: OnGpu, kind: str) -> None:
    created = home.create(kind, "-d", total_steps=10**8)
    assert created.returncode == 0, created.stdout + created.stderr
    home.until(600)
    assert home("stop", "small").returncode == 0
    stopped = home.status()
    assert stopped["state"] == "stopped"
    resumed = home("resume", "small", "-d")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    home.until(stopped["steps"] + 400)
    # the supervisor writes what the learner has printed
    log = home.log("learner-0.2")
    assert f"resumed from step {stopped['steps']}" in log and on_device(log), log
