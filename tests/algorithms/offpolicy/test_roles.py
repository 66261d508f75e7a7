"""Off-policy roles as real processes over real sockets: each algorithm runs to its end, and outlives any death."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.algorithm import Algorithm
from surreal.algorithms.offpolicy.graph import DDPG, DQN, SAC, TD3
from surreal.algorithms.policies import load_policy
from surreal.algorithms.recording.checkpoint import Checkpoints
from tests.algorithms.fabric import Run, wait_for

SHORT: dict[str, Any] = {
    "hidden": [16],
    "batch": 32,
    "fragment_steps": 8,
    "evaluate_episodes": 1,
    "evaluation_episode_cap": 50,
    "updates_per_step": 0.5,
    "replay": {"min_size": 200, "capacity": 5_000, "snapshot_seconds": 0.5},
}
ENDLESS = {**SHORT, "total_steps": 10**7}


@pytest.mark.parametrize(
    ("algorithm", "env", "more"),
    [
        (DDPG, "Pendulum-v1", {"exploration": "parameters", "n_step": 3}),
        (TD3, "Pendulum-v1", {"threads": 2, "normalize_observations": True, "weights_every": 1}),
        (SAC, "Pendulum-v1", {"replay": {**SHORT["replay"], "priority_exponent": 0.6}}),
        (SAC, "CartPole-v1", {"updates_per_step": 5.0, "total_steps": 400}),
        (DQN, "CartPole-v1", {"dueling": True, "n_step": 3, "gradients": "autograd", "device": "cpu"}),
    ],
    ids=["ddpg", "td3", "sac", "sac-choices", "dqn"],
)
def test_a_run_ends_with_success_and_leaves_a_policy(
    folder: Path, algorithm: Algorithm, env: str, more: dict[str, Any]
) -> None:
    config = {**SHORT, "total_steps": 800, **more}
    with Run(folder, config, 2, env, algorithm=algorithm, replicas={"replay": 2}) as run:
        for shard in (0, 1):
            run.start("replay", shard)
        wait_for(lambda: all((folder / f"sample-{shard}.ipc").exists() for shard in (0, 1)))
        for role, index in (("learner", 0), ("actor", 0), ("actor", 1), ("evaluator", 0)):
            run.start(role, index)
        assert run.workers["learner-0"].wait(120) == 0, run.log("learner-0")
        last = run.rows()[-1]
        assert last["steps"] >= config["total_steps"]
        due = (config["total_steps"] - 200) * config["updates_per_step"]
        # The shards let either side be ahead by a few fragments: of the short run with many updates that is nearly all.
        least = 0.25 * due if config["updates_per_step"] <= 1 else 10
        assert least <= last["gradient_steps"] <= 1.6 * due
        assert last["updates"] == last["gradient_steps"]
        assert 0 < last["replay_ratio"] <= 1.3 * config["updates_per_step"]
        # one that is late on a busy machine counts as away, so what they gave tells that both were there
        assert all("items for learner/0 travel" in run.log(f"replay-{shard}") for shard in (0, 1))
        assert 0 <= last["waiting_for_samples"] <= 1
        assert np.isfinite(last["value_mean"]) if config.get("gradients") != "autograd" else last["critic_loss"] >= 0
        assert np.isfinite(run.rows("evaluator/0")[-1]["eval_return"])
        policy = load_policy(folder)
        assert policy.about["algorithm"] == algorithm.name
        assert len(policy(np.zeros((3, policy.spaces.observation), np.float32))) == 3


def test_a_learner_an_actor_and_a_shard_may_die_in_turn_and_learning_goes_on(folder: Path) -> None:
    with Run(folder, ENDLESS, 2, "Pendulum-v1", algorithm=TD3, replicas={"replay": 2}) as run:
        run.start_all()
        checkpoints = folder / "checkpoints"
        wait_for(lambda: list(checkpoints.glob("step-*")) if checkpoints.exists() else [])
        wait_for(lambda: run.rows())
        for role, index in (("replay", 1), ("actor", 0), ("learner", 0)):
            before = run.rows()[-1]
            run.workers[f"{role}-{index}"].send_signal(signal.SIGKILL)
            run.workers[f"{role}-{index}"].wait()
            run.start(role, index)
            rows = len(run.rows())
            wait_for(lambda: len(run.rows()) > rows + 2)  # noqa: B023
            after = run.rows()[-1]
            assert after["steps"] >= before["steps"] if role != "learner" else after["steps"] > 0
        assert "resumed from step" in run.log("learner-0")
        assert run.rows()[-1]["gradient_steps"] > 0
        assert Checkpoints(checkpoints, keep=2).newest() is not None


def test_a_learner_that_is_told_to_stop_saves_and_goes_on_from_there(folder: Path) -> None:
    with Run(folder, ENDLESS, 1, "CartPole-v1", algorithm=DQN) as run:
        run.start_all()
        wait_for(lambda: len(run.rows()) >= 2)
        run.workers["learner-0"].terminate()
        assert run.workers["learner-0"].wait(120) == 4
        saved = Checkpoints(folder / "checkpoints", keep=2).newest()
        assert saved is not None
        assert saved.state["gradient_steps"] > 0
        run.start("learner")
        before = saved.state["gradient_steps"]
        # a row of a learner that waits says nothing of gradients
        wait_for(lambda: run.rows()[-1].get("gradient_steps", 0) > before)
        assert run.rows()[-1]["steps"] >= saved.steps


def test_an_algorithm_that_does_not_take_the_actions_fails_at_its_start(folder: Path) -> None:
    with Run(folder, SHORT, env="Pendulum-v1", algorithm=DQN) as run:
        assert run.start("actor").wait(120) == 3
        assert "'dqn' takes Discrete actions" in run.log("actor-0")
        assert "Traceback" not in run.log("actor-0")
