"""Does a table hold rows of every algorithm, in the roles and settings that are its own?"""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from learning.floors import floors
from learning.table import Budget, Cell, Contestant
from learning.tasks import GROUPS, env_of, group_name, tasks_of
from surreal.orchestrator.operator.crd.definitions import NAME
from tests.benchmarks.suites import Suite

SMALL = "hidden=[16],batch=32"
OFF_POLICY = ("td3", "sac", "ddpg")


def experiment(algorithm: str, task: str) -> Any:
    return Cell(Contestant.parse(algorithm), task, 1, Budget(5000)).experiment()["spec"]


@pytest.mark.timeout(300)
def test_a_run_of_every_algorithm_has_all_three_figures_and_a_curve(suite: Suite) -> None:
    contestants = [*(f"{name}={name}:{SMALL}" for name in OFF_POLICY), "es", "ars", "impala"]
    layout = ("--copies", "2", "--actors", "1", "--episodes", "2", "--parallel", "3")
    done = suite("--tasks", "Pendulum-v1", "--contestants", *contestants, "--steps", "1400", "--seeds", "3", *layout)
    assert done.returncode == 0, done.stderr
    for name in (*OFF_POLICY, "es", "ars", "impala"):
        row = suite.row(f"{name}-pendulum-v1-1400-3")
        assert row["outcome"] == "succeeded" and (row["algorithm"], row["budget"]) == (name, 1400)
        assert set(row["figures"]) == set(row["conventions"]) == {"training", "last", "best"}
        assert None not in row["figures"].values(), row
        assert row["curve"][-1][0] == row["steps"] >= 1400
        assert ("perturbed" in row["conventions"]["training"]) == (name in ("es", "ars"))


def test_every_run_of_every_table_has_a_name_of_its_own_that_an_experiment_may_have() -> None:
    cells = [
        Cell(Contestant.parse(name), task, seed, Budget(1_000_000))
        for name in ("ppo", "impala", "recomputed=ppo:recompute_advantages=true")
        for task in tasks_of(GROUPS)
        for seed in (1, 12)
    ]
    names = [cell.name for cell in cells]
    assert all(re.fullmatch(NAME, name) for name in names)
    assert len(set(names)) == len(cells)
    assert "impala-hopper-v5-1000000-1" in names


def test_the_role_that_acts_has_the_replicas_and_an_actor_of_replay_one_copy() -> None:
    assert experiment("es", "Hopper-v5")["roles"] == {"worker": {"replicas": 2}}
    assert experiment("td3", "Hopper-v5")["roles"] == {"actor": {"replicas": 2}}
    copies = {name: experiment(name, "Hopper-v5")["env"]["copies"] for name in ("ppo", "impala", "ars", "sac")}
    assert copies == {"ppo": 8, "impala": 8, "ars": 8, "sac": 1}


def test_training_returns_are_means_of_as_many_episodes_as_another_library_has() -> None:
    assert experiment("sac", "Hopper-v5")["algorithm"]["config"]["return_window"] == 100
    assert "return_window" not in experiment("es", "Hopper-v5")["algorithm"]["config"]


def test_a_task_says_what_an_environment_of_it_needs_and_no_setting_but_the_network_of_images() -> None:
    game, arm = experiment("ppo", "MinAtar/Asterix-v1"), experiment("ppo", "robosuite/Door")
    assert game["env"]["wrappers"] == [{"time_limit": 5000}]
    assert game["algorithm"]["config"]["network"]["encoder"] == "small-cnn"
    assert arm["env"]["options"] == {"horizon": 200, "control_freq": 20}
    assert set(arm["algorithm"]["config"]) == set(experiment("ppo", "Hopper-v5")["algorithm"]["config"])


def test_groups_of_tasks_stand_for_their_ids() -> None:
    assert len(tasks_of(["mujoco"])) == 11
    assert tasks_of(["CartPole-v1", "classic"])[0] == "CartPole-v1"
    assert {group_name(task) for task in tasks_of(GROUPS)} == set(GROUPS)
    assert group_name("LunarLander-v3") == "other" and env_of("LunarLander-v3") == {"id": "LunarLander-v3"}


@pytest.mark.skipif(not find_spec("minatar"), reason="needs pip install 'surreal[minatar]'")
def test_a_random_policy_has_a_return_where_observations_are_images(tmp_path: Path) -> None:
    assert 0 < floors(["MinAtar/Breakout-v1"], tmp_path / "home" / "floors.json")["MinAtar/Breakout-v1"] < 2
