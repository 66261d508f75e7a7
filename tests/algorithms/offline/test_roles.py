"""Runs without actors, as real processes over real sockets: shards of a dataset, a learner, an evaluator."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.algorithm import Algorithm
from surreal.algorithms.exporting.record import Behaviour, Recording, record
from surreal.algorithms.offline.graph import AWAC, BC, CQL, CRR, IQL, TD3BC
from surreal.algorithms.policies import load_policy
from tests.algorithms.datasets import tfds
from tests.algorithms.fabric import Run, wait_for

SHORT: dict[str, Any] = {
    "hidden": [16],
    "batch": 32,
    "evaluate_episodes": 1,
    "evaluation_episode_cap": 50,
    "total_steps": 150,
    "normalize_observations": False,
}
RANDOM = [Behaviour("random", None)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random episodes of two environments."""
    folder = tmp_path_factory.mktemp("recorded")
    for env in ("Pendulum-v1", "CartPole-v1"):
        record(RANDOM, {"id": env}, Recording(folder / env, f"tests/{env}", episodes=8))
    return {env: folder / env for env in ("Pendulum-v1", "CartPole-v1")}


@pytest.mark.parametrize(
    ("algorithm", "env", "more"),
    [
        (BC, "Pendulum-v1", {"normalize_observations": True}),
        (CQL, "CartPole-v1", {"capacity": 60, "reuse": 4.0}),
    ],
    ids=["bc", "cql-choices"],
)
def test_a_run_ends_with_success_and_leaves_a_policy(
    folder: Path, recorded: dict[str, Path], algorithm: Algorithm, env: str, more: dict[str, Any]
) -> None:
    config = {**SHORT, "dataset": str(recorded[env]), **more}
    with Run(folder, config, 0, env=env, algorithm=algorithm, replicas={"dataset": 2}) as run:
        for shard in (0, 1):
            run.start("dataset", shard)
        wait_for(lambda: all("holds" in run.log(f"dataset-{shard}") for shard in (0, 1)))
        for role in ("learner", "evaluator"):
            run.start(role)
        assert run.workers["learner-0"].wait(120) == 0, run.log("learner-0") + run.log("dataset-0")
        last = run.rows()[-1]
        assert last["steps"] == last["updates"] == last["gradient_steps"] == 150
        # one that is late on a busy machine counts as away, so what they gave tells that both were there
        assert all("items for learner/0 travel" in run.log(f"dataset-{shard}") for shard in (0, 1))
        assert np.isfinite(run.rows("evaluator/0")[-1]["eval_return"])
        policy = load_policy(folder)
        assert policy.about["algorithm"] == algorithm.name
        assert len(policy(np.zeros((3, policy.spaces.observation), np.float32))) == 3


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [TD3BC, IQL, AWAC, CRR, CQL], ids=lambda each: each.name)
def test_the_other_algorithms_run_to_their_end(folder: Path, recorded: dict[str, Path], algorithm: Algorithm) -> None:
    config = {**SHORT, "dataset": str(recorded["Pendulum-v1"])}
    with Run(folder, config, 0, env="Pendulum-v1", algorithm=algorithm) as run:
        run.start_all()
        assert run.workers["learner-0"].wait(120) == 0, run.log("learner-0")
        assert load_policy(folder).about["algorithm"] == algorithm.name


@pytest.mark.slow
def test_a_run_learns_from_files_whose_lengths_only_reading_tells(folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    last = np.arange(60) == 59
    flags = {"is_first": np.arange(60) == 0, "is_last": last, "is_terminal": last & False, "discount": np.ones(60)}
    episodes = [{f"steps/{name}": value for name, value in (flags | _random_steps(rng, 60)).items()} for _ in range(6)]
    place = tfds.written(tmp_path / "x", episodes, observation=tfds.tensor("float32", 3))
    config = {**SHORT, "dataset": str(place)}
    with Run(folder, config, 0, env="Pendulum-v1", algorithm=BC, replicas={"dataset": 2}) as run:
        for shard in (0, 1):
            run.start("dataset", shard)
        wait_for(lambda: all("holds" in run.log(f"dataset-{shard}") for shard in (0, 1)))
        for role in ("learner", "evaluator"):
            run.start(role)
        assert run.workers["learner-0"].wait(120) == 0, run.log("learner-0") + run.log("dataset-0")
        log = run.log("dataset-0") + run.log("dataset-1")
    # all of it has room, so that nothing streams and no step waits for another one
    assert log.count("holds 177 steps, returns ") == log.count("; 0 damaged episodes") == 2


def _random_steps(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    seen, actions = rng.standard_normal((rows, 3)), rng.uniform(-2, 2, (rows, 1))
    return {"observation": seen, "action": actions, "reward": rng.standard_normal(rows)}


@pytest.mark.slow
def test_a_shard_or_a_learner_that_dies_begins_again_and_learning_goes_on(
    folder: Path, recorded: dict[str, Path]
) -> None:
    config = {**SHORT, "dataset": str(recorded["Pendulum-v1"]), "total_steps": 10**7}
    with Run(folder, config, 0, env="Pendulum-v1", algorithm=BC) as run:
        run.start_all()
        for role in ("dataset", "learner"):
            rows = len(run.rows())
            wait_for(lambda: len(run.rows()) > rows)  # noqa: B023
            run.workers[f"{role}-0"].kill()
            run.workers[f"{role}-0"].wait()
            before = run.rows()[-1]["steps"]
            run.start(role)
            rows = len(run.rows())
            wait_for(lambda: len(run.rows()) > rows and run.rows()[-1]["steps"] > before // 2)  # noqa: B023
        assert "resumed from step" in run.log("learner-0")


def test_a_dataset_of_another_environment_is_said_and_one_that_does_not_fit_ends_the_run(
    folder: Path, recorded: dict[str, Path]
) -> None:
    config = {**SHORT, "dataset": str(recorded["CartPole-v1"])}
    with Run(folder, config, 0, env="Pendulum-v1", algorithm=BC) as run:
        assert run.start("dataset").wait(120) == 3
        log = run.log("dataset-0")
        assert "it was recorded in CartPole-v1, and policies are evaluated in Pendulum-v1" in log
        assert "main_data.hdf5: episode" in log
        assert "does not fit the environment's" in log
        assert "Traceback" not in log
