"""PPO's roles as real processes over real sockets: they learn, repeat, and survive each other's deaths."""

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from surreal.algorithms.recording.checkpoint import Checkpoints
from tests.algorithms.fabric import Run, wait_for

SHORT = {"fragment_steps": 32, "minibatch": 32, "epochs": 2, "evaluate_episodes": 1, "hidden": [16, 16]}
STRICT = {**SHORT, "max_staleness": 0}
ENDLESS = {**SHORT, "total_steps": 10**7, "numba": False}
"""Without the seconds in which numba loads its loops."""
PATIENCE = 120.0
"""Seconds that a process may take where the machine is overloaded."""


def final_parameters(config: dict[str, Any], actors: int, env: str) -> Any:
    with tempfile.TemporaryDirectory(prefix="s") as path, Run(Path(path), config, actors, env) as run:
        run.start_all()
        assert run.workers["learner-0"].wait(PATIENCE) == 0, run.log("learner-0")
        checkpoint = Checkpoints(Path(path) / "checkpoints", keep=2).newest()
        assert checkpoint is not None
        return checkpoint.arrays["updater.parameters"]


@pytest.mark.parametrize("env", ["CartPole-v1", "HalfCheetah-v5"])
def test_the_same_seed_strictly_on_policy_gives_the_same_weights_bit_for_bit(env: str) -> None:
    first, second = (final_parameters({**STRICT, "total_steps": 1024}, 1, env) for _ in range(2))
    assert (first == second).all()


def test_a_finished_run_ends_everybody_with_success_and_leaves_its_results(folder: Path) -> None:
    with Run(folder, {**SHORT, "total_steps": 4096}, actors=2) as run:
        run.start_all()
        assert [worker.wait(PATIENCE) for worker in run.workers.values()] == [0, 0, 0, 0]
        last = run.rows()[-1]
        assert last["steps"] >= 4096
        assert 0 <= last["staleness_max"] <= 1
        assert last["episodes"] > 0
        assert np.isfinite(run.rows("evaluator/0")[-1]["eval_return"])
        names = {path.name.split("-")[0] for path in (folder / "checkpoints").iterdir()}
        assert names == {"step", "best"}
        assert list((folder / "metrics").glob("events.out.tfevents.*"))


def test_strictly_on_policy_means_staleness_zero(folder: Path) -> None:
    with Run(folder, {**STRICT, "total_steps": 2048}, actors=2) as run:
        run.start_all()
        assert run.workers["learner-0"].wait(PATIENCE) == 0
        assert {row["staleness_max"] for row in run.rows()} == {0}


def test_a_run_stops_by_itself_at_the_return_it_was_asked_for(folder: Path) -> None:
    config = {**SHORT, "stop_at_return": 10.0, "return_window": 5}  # any policy balances ten steps
    with Run(folder, config) as run:
        run.start_all()
        assert run.workers["learner-0"].wait(PATIENCE) == 0
        assert run.rows()[-1]["steps"] < 100_000


def test_a_killed_learner_resumes_from_its_checkpoint_and_actors_follow(folder: Path) -> None:
    with Run(folder, {**SHORT, "total_steps": 10**7}, actors=2) as run:
        run.start_all()
        wait_for(lambda: list((folder / "checkpoints").glob("step-*")) if (folder / "checkpoints").exists() else [])
        wait_for(lambda: len(run.rows()) >= 2)
        run.workers["learner-0"].send_signal(signal.SIGKILL)
        run.workers["learner-0"].wait()
        saved = Checkpoints(folder / "checkpoints", keep=2).newest()
        assert saved is not None
        before = len(run.rows())
        run.start("learner")
        wait_for(lambda: len(run.rows()) > before + 1)
        assert run.rows()[-1]["steps"] > saved.steps
        assert f"resumed from step {saved.steps}" in run.log("learner-0")


def test_a_killed_actor_costs_nothing_but_its_fragment(folder: Path) -> None:
    with Run(folder, ENDLESS, actors=2) as run:
        run.start_all()
        wait_for(lambda: len(run.rows()) >= 1)
        run.workers["actor-1"].send_signal(signal.SIGKILL)
        run.workers["actor-1"].wait()
        run.start("actor", 1)
        before = len(run.rows())
        wait_for(lambda: len(run.rows()) > before + 1)
        assert run.rows()[-1]["steps"] > run.rows()[before - 1]["steps"]


def test_a_learner_told_to_stop_saves_and_says_preempted(folder: Path) -> None:
    with Run(folder, ENDLESS) as run:
        run.start_all()
        wait_for(lambda: len(run.rows()) >= 1)
        run.workers["learner-0"].terminate()
        assert run.workers["learner-0"].wait(PATIENCE) == 4
        saved = Checkpoints(folder / "checkpoints", keep=2).newest()
        assert saved is not None
        assert saved.steps >= run.rows()[-1]["steps"]


def test_an_environment_that_cannot_be_made_is_fatal_not_retried(folder: Path) -> None:
    with Run(folder, SHORT, env="no_such_module:Env-v0") as run:
        assert run.start("actor").wait(PATIENCE) == 3
        assert "'no_such_module:Env-v0': cannot be made" in run.log("actor-0")
        assert "Traceback" not in run.log("actor-0")


def test_actor_and_cpu_learner_stay_small_because_they_leave_torch_alone(folder: Path) -> None:
    with Run(folder, ENDLESS, env="HalfCheetah-v5") as run:
        run.start_all()
        wait_for(lambda: len(run.rows()) >= 1)
        for name in ("actor-0", "learner-0"):
            worker = psutil.Process(run.workers[name].pid)
            # of its own: pages of libraries are shared by all processes of the machine
            assert worker.memory_full_info().uss < 200e6
            if os.path.exists("/proc/self/maps"):
                assert not any("libtorch" in mapped.path for mapped in worker.memory_maps())
