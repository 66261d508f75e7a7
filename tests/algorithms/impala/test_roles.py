"""IMPALA's roles as real processes over real sockets: they learn, and survive each other's deaths."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.policies import load_policy
from surreal.algorithms.recording.checkpoint import Checkpoints
from surreal.algorithms.registry import IMPALA
from tests.algorithms.fabric import Run, wait_for

pytestmark = pytest.mark.timeout(450)
SHORT: dict[str, Any] = {"fragment_steps": 16, "evaluate_episodes": 1, "hidden": [16], "device": "cpu"}
ENDLESS = {**SHORT, "total_steps": 10**7}


def impala(folder: Path, config: dict[str, Any], actors: int = 2, env: str = "CartPole-v1") -> Run:
    return Run(folder, config, actors, env, algorithm=IMPALA)


@pytest.mark.parametrize(
    ("env", "more"),
    [
        ("CartPole-v1", {"replay_ratio": 0.5}),
        ("Pendulum-v1", {"optimizer": "adam", "network": {"memory": {"kind": "lstm", "size": 8}}}),
    ],
    ids=["choices by hand", "numbers with memory"],
)
def test_a_run_ends_with_success_and_leaves_a_policy(folder: Path, env: str, more: dict[str, Any]) -> None:
    with impala(folder, {**SHORT, "total_steps": 4096, **more}, env=env) as run:
        run.start_all()
        assert [worker.wait(200) for worker in run.workers.values()] == [0, 0, 0, 0], run.log("learner-0")
        last = run.rows()[-1]
        assert last["steps"] >= 4096 and last["updates"] == last["steps"] // (16 * 4)
        assert last["dropped_malformed"] == last["skipped_updates"] == 0
        assert 0 <= last["clipped_rho"] <= 1 and last["staleness"] >= 0
        assert np.isfinite(run.rows("evaluator/0")[-1]["eval_return"])
    policy = load_policy(folder)
    assert policy.about["algorithm"] == "impala"
    rows = np.zeros((3, policy.spaces.observation), np.float32)
    assert len(policy.step(rows, policy.initial_state(3))[0]) == 3


def test_the_learner_goes_on_without_an_actor_that_is_dead(folder: Path) -> None:
    with impala(folder, ENDLESS) as run:
        run.start_all()
        wait_for(lambda: len(run.rows()) >= 1)
        run.workers["actor-1"].send_signal(signal.SIGKILL)
        run.workers["actor-1"].wait()
        before = run.rows()[-1]["steps"]
        wait_for(lambda: run.rows()[-1]["steps"] > before + 20 * 2 * 16 * 4)
        run.start("actor", 1)
        before = len(run.rows())
        wait_for(lambda: len(run.rows()) > before + 1)
        assert run.rows()[-1]["dropped_malformed"] == 0


def test_a_killed_learner_resumes_from_its_checkpoint_and_takes_no_fragment_of_the_dead_one(folder: Path) -> None:
    with impala(folder, ENDLESS) as run:
        run.start_all()
        wait_for(lambda: Checkpoints(folder / "checkpoints", keep=2).newest() is not None)
        wait_for(lambda: len(run.rows()) >= 2)
        run.workers["learner-0"].send_signal(signal.SIGKILL)
        run.workers["learner-0"].wait()
        saved = Checkpoints(folder / "checkpoints", keep=2).newest()
        assert saved is not None
        before = len(run.rows())
        run.start("learner")
        wait_for(lambda: len(run.rows()) > before + 1)
        last = run.rows()[-1]
        assert last["steps"] > saved.steps and last["dropped_by_restart"] > 0
        assert f"resumed from step {saved.steps}" in run.log("learner-0")


def test_a_learner_told_to_stop_saves_and_says_preempted(folder: Path) -> None:
    with impala(folder, ENDLESS, actors=1) as run:
        run.start_all()
        wait_for(lambda: len(run.rows()) >= 1)
        run.workers["learner-0"].terminate()
        assert run.workers["learner-0"].wait(120) == 4
        saved = Checkpoints(folder / "checkpoints", keep=2).newest()
        assert saved is not None and saved.steps >= run.rows()[-1]["steps"]


def test_an_artificial_lag_makes_the_staleness_that_it_says(folder: Path) -> None:
    config = {**SHORT, "total_steps": 16_384, "batch_fragments": 1, "artificial_lag": 20}
    with impala(folder, config, actors=1) as run:
        run.start_all()
        assert run.workers["learner-0"].wait(200) == 0, run.log("learner-0")
        # a fragment is learned from twenty updates after it came, and may have been made by older weights still
        begun = 0
        for row in run.rows():
            least = np.mean([min(update, 20) for update in range(begun, row["updates"])])
            assert row["staleness"] >= least - 1e-9
            begun = row["updates"]
        assert begun == 256
