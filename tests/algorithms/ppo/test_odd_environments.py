"""Runs in environments that misbehave: which end, with which sentence, and which go on."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.update import Updater
from surreal.algorithms.recording.checkpoint import Checkpoints
from surreal.algorithms.rollouts.state import State
from surreal.protocol.errors import ExitCode
from tests.algorithms.fabric import Run, wait_for
from tests.algorithms.ppo.samples import random_shape

SHORT = {"fragment_steps": 32, "minibatch": 32, "epochs": 1, "evaluate_episodes": 1, "hidden": [4]}
ENDLESS = {**SHORT, "total_steps": 10**9, "numba": False}
PATIENCE = 120.0
"""Seconds that a process may take where the machine is overloaded."""


@pytest.mark.parametrize(
    ("env", "how", "said"),
    [
        ("odd:Odd", "one", "an observation of an array of shape (1,)"),
        ("odd:Odd", "nan", "is broken: array 'observations' is not finite"),
        ("odd:Odd", "reward huge", "is broken: array 'rewards' is not finite"),
    ],
)
def test_an_environment_that_cannot_be_learned_from_ends_the_actor_for_good(
    folder: Path, env: str, how: str, said: str
) -> None:
    with Run(folder, ENDLESS, env=env, options={"how": how}) as run:
        run.start("learner")
        actor = run.start("actor")
        assert actor.wait(PATIENCE) == ExitCode.FATAL, run.log("actor-0")
        last = run.log("actor-0").splitlines()
        assert any(f"environment '{env}'" in line and said in line for line in last), run.log("actor-0")


def test_a_fragment_that_no_message_takes_is_said_before_the_first_step(folder: Path) -> None:
    with Run(folder, {**ENDLESS, "fragment_steps": 256}, env="odd:Wide") as run:
        assert run.start("actor").wait(PATIENCE) == ExitCode.FATAL
        assert "fragment_steps: 256 makes fragments of" in run.log("actor-0")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("raise", "environment 'odd:Odd' raised RuntimeError in step: the simulator lost its connection"),
        ("exit", "environment 'odd:Odd' ended the process in step: exit(None)"),
    ],
)
def test_an_environment_that_ends_the_process_is_a_crash_with_its_name(folder: Path, how: str, said: str) -> None:
    with Run(folder, ENDLESS, env="odd:Odd", options={"how": how, "at": 300}) as run:
        run.start("learner")
        assert run.start("actor").wait(PATIENCE) == ExitCode.FAILED, run.log("actor-0")
        assert said in run.log("actor-0")


def test_an_environment_that_is_broken_now_and_then_is_learned_from(folder: Path) -> None:
    config, note = {**SHORT, "total_steps": 2048}, folder / "seeds"
    with Run(folder, config, env="odd:Odd", options={"how": "rarely nan", "note": str(note)}) as run:
        run.start_all()
        assert [worker.wait(PATIENCE) for worker in run.workers.values()] == [0, 0, 0], run.log("actor-0")
        log = run.log("actor-0")
    refused = log.count("environments reset with new seeds")
    seeds = [seed for seed in note.read_text().split() if not 1_000_003 <= int(seed) < 1_000_100]
    assert len(set(seeds)) == len(seeds) == 4 * (refused + 1)


def test_episodes_of_one_step_are_learned_from(folder: Path) -> None:
    with Run(folder, {**SHORT, "fragment_steps": 512, "total_steps": 4096}, env="odd:Bandit") as run:
        run.start_all()
        assert run.workers["learner-0"].wait(PATIENCE) == 0, run.log("actor-0")
        assert run.rows()[-1]["episodes"] >= 4096


@pytest.mark.slow
@pytest.mark.parametrize(("env", "most"), [("odd:Choices", 20.0), ("odd:Dose", 2.0)])
def test_evaluations_are_of_the_actions_that_actors_take(folder: Path, env: str, most: float) -> None:
    config = {**ENDLESS, "learning_rate": 0.01, "evaluate_every_seconds": 0.2}

    def evaluations() -> list[float]:
        return [row["eval_return"] for row in run.rows("evaluator/0")]

    with Run(folder, config, env=env) as run:
        run.start_all()
        wait_for(lambda: any(value == pytest.approx(most, rel=0.2) for value in evaluations()), PATIENCE)
        assert all(0 <= value <= most + 1e-5 for value in evaluations())


def test_one_actor_that_hangs_does_not_stop_the_others(folder: Path) -> None:
    with Run(folder, {**ENDLESS, "gather_patience": 1.0}, actors=2, env="odd:Odd") as run:
        run.start("learner")
        run.start("actor", 0)
        run.env["options"] = {"how": "hang", "at": 300}
        run.start("actor", 1)
        wait_for(lambda: "the batch goes on without 1 actors, actor/1" in run.log("learner-0"), PATIENCE)
        wait_for(run.rows, PATIENCE)
        steps = run.rows()[-1]["steps"]
        wait_for(lambda: run.rows()[-1]["steps"] > steps + 1000, PATIENCE)


def test_a_learner_that_waits_writes_down_for_whom(folder: Path) -> None:
    with Run(folder, ENDLESS, env="odd:Odd", options={"how": "hang", "at": 300}) as run:
        run.start("learner")
        run.start("actor")
        wait_for(lambda: any(row.get("waiting_for") == "actor/0" for row in run.rows(waiting=True)), PATIENCE)
        wait_for(lambda: "waiting for actor/0" in run.log("learner-0"), PATIENCE)


def test_environments_are_closed_by_every_role(folder: Path) -> None:
    note = folder / "closed"
    with Run(
        folder, {**SHORT, "total_steps": 1024}, env="odd:Odd", options={"how": "closes", "note": str(note)}
    ) as run:
        run.start_all()
        assert [worker.wait(PATIENCE) for worker in run.workers.values()] == [0, 0, 0]
        assert note.read_text().split().count("closed") == 1 + 4 + 1


@pytest.mark.parametrize("how", ["rude", "close hangs"])
def test_what_an_environment_does_to_its_process_loses_no_checkpoint(folder: Path, how: str) -> None:
    with Run(folder, ENDLESS, env="odd:Odd", options={"how": how}) as run:
        run.start_all()
        wait_for(lambda: len(run.rows()) >= 1, PATIENCE)
        run.workers["learner-0"].send_signal(signal.SIGTERM)
        assert run.workers["learner-0"].wait(PATIENCE) == ExitCode.PREEMPTED, run.log("learner-0")
        saved: Any = Checkpoints(folder / "checkpoints", keep=2).newest()
        assert saved.steps >= run.rows()[-1]["steps"]


def test_observations_are_not_clipped_where_they_are_not_normalized(folder: Path) -> None:
    far = np.array([[5, 50, -300, 0, 1]], np.float32)
    for normalize, expected in ((False, [5, 50, -300]), (True, [5, 10, -10])):
        shape, config = random_shape(True), PPOConfig(normalize_observations=normalize)
        state = State(shape.spaces, config, Updater(shape, config, 0))
        assert state.standardizer()(far)[0, :3].tolist() == expected
