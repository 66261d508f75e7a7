"""Roles of R2D2 as real processes over real sockets: a run ends, and outlives the death of any role."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.policies import load_policy
from surreal.algorithms.r2d2.config import R2D2Config
from surreal.algorithms.r2d2.graph import R2D2
from surreal.algorithms.r2d2.learner import State
from surreal.algorithms.r2d2.network import make_layout
from surreal.algorithms.recording.checkpoint import Checkpoints
from tests.algorithms.fabric import Run, wait_for

SHORT: dict[str, Any] = {
    "hidden": [8],
    "network": {"memory": {"size": 8}},
    "device": "cpu",
    "batch": 8,
    "burn_in": 4,
    "fragment_steps": 30,
    "updates_per_step": 0.02,
    "weights_every": 2,
    "evaluate_episodes": 1,
    "evaluation_episode_cap": 50,
    "replay": {
        "sequence_length": 12,
        "sequence_overlap": 6,
        "min_size": 200,
        "capacity": 5_000,
        "snapshot_seconds": 0.5,
    },
}
ENDLESS = {**SHORT, "total_steps": 10**7}


def test_a_run_ends_with_success_and_leaves_a_policy(folder: Path) -> None:
    with Run(folder, {**SHORT, "total_steps": 2_000}, 2, algorithm=R2D2, replicas={"replay": 2}) as run:
        run.start_all()
        assert run.workers["learner-0"].wait(120) == 0, run.log("learner-0")
        last = run.rows()[-1]
        assert last["steps"] >= 2_000
        assert last["updates"] == last["gradient_steps"] > 5, "what is counted are updates, not versions"
        assert all(np.isfinite(last[name]) for name in ("loss", "value_mean", "error", "gradient_norm"))
        assert last["skipped_steps"] == 0
        assert np.isfinite(run.rows("evaluator/0")[-1]["eval_return"])
        policy = load_policy(folder)
        assert policy.about["algorithm"] == "r2d2"
        actions, _ = policy.step(np.zeros((3, 4), np.float32), policy.initial_state(3))
        assert actions.shape == (3,)


@pytest.mark.slow
def test_every_role_may_die_in_turn_and_learning_goes_on(folder: Path) -> None:
    with Run(folder, ENDLESS, 2, algorithm=R2D2, replicas={"replay": 2}) as run:
        run.start_all()
        checkpoints = folder / "checkpoints"
        wait_for(lambda: list(checkpoints.glob("step-*")) if checkpoints.exists() else [])
        wait_for(lambda: run.rows())
        for role, index in (("replay", 1), ("actor", 0), ("learner", 0)):
            run.workers[f"{role}-{index}"].send_signal(signal.SIGKILL)
            run.workers[f"{role}-{index}"].wait()
            run.start(role, index)
            rows = len(run.rows())
            wait_for(lambda: len(run.rows()) > rows + 2)  # noqa: B023
        assert "resumed from step" in run.log("learner-0")
        assert run.rows()[-1]["gradient_steps"] > 0


def test_a_learner_that_is_told_to_stop_saves_and_goes_on_from_there(folder: Path) -> None:
    with Run(folder, ENDLESS, 1, algorithm=R2D2) as run:
        run.start_all()
        wait_for(lambda: len(run.rows()) >= 2)
        run.workers["learner-0"].terminate()
        assert run.workers["learner-0"].wait(120) == 4
        saved = Checkpoints(folder / "checkpoints", keep=2).newest()
        assert saved is not None
        run.start("learner")
        before = saved.state["gradient_steps"]
        # a row of a learner that waits says nothing of gradients
        wait_for(lambda: run.rows()[-1].get("gradient_steps", 0) > before)


def test_a_checkpoint_of_another_memory_ends_the_learner_with_both_sizes(folder: Path) -> None:
    config = R2D2Config(**{**SHORT, "network": {"memory": {"size": 12}}})
    layout = make_layout(config, Spaces.flat(4, 2, True))
    other = State(layout, config, 1)
    other.steps = 400
    Checkpoints(folder / "checkpoints", keep=2).clear_unfinished()
    Checkpoints(folder / "checkpoints", keep=2).save(other.checkpoint())
    with Run(folder, SHORT, algorithm=R2D2) as run:
        assert run.start("learner").wait(120) == 3
        said = run.log("learner-0")
        assert f" has the shape [{layout.size}], and the networks of this run have [715]" in said
        assert "Traceback" not in said


def test_an_environment_that_takes_numbers_is_refused_in_one_sentence(folder: Path) -> None:
    with Run(folder, SHORT, env="Pendulum-v1", algorithm=R2D2) as run:
        assert run.start("actor").wait(120) == 3
        assert "'r2d2' takes one choice at a time" in run.log("actor-0")
        assert "Traceback" not in run.log("actor-0")
