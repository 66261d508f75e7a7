"""`surreal offline estimate`: the value of a saved policy from a dataset alone, and the error against true episodes."""

import json
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from click.testing import CliRunner

from surreal.algorithms.exporting.record import Behaviour, Recording, record
from surreal.algorithms.policies import load_policy
from surreal.cli.commands.experiment.offline import estimate
from tests.algorithms.saved import save_ppo

SMALL = ("--policy", "last", "--updates", "40", "--seeds", "2", "--true", "12", "-o", "json")


def found(run: Path, data: Path, *options: str) -> dict[str, Any]:
    """Return what the command prints."""
    done = CliRunner().invoke(estimate, [str(run), "--dataset", str(data), *SMALL, *options])
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def recorded(run: Path, env: str, folder: Path, noise: float) -> Path:
    """Return a dataset of a run's own policy."""
    settings = Recording(folder, "tests/own-v0", episodes=12, noise=noise)
    return record([Behaviour("own", load_policy(run))], {"id": env}, settings)


def test_choices_are_judged_by_fitted_q_and_by_importance_sampling(tmp_path: Path) -> None:
    run = save_ppo(tmp_path / "cart", gymnasium.make("CartPole-v1"), "CartPole-v1")
    said = found(run, recorded(run, "CartPole-v1", tmp_path / "x", 0.0), "--gamma", "0.9")
    rows = {row["method"]: row for row in said["estimates"]}
    assert list(rows) == [
        "fitted Q, seed 1",
        "fitted Q, seed 2",
        "importance sampling, weighted",
        "importance sampling, plain",
    ]
    # data of the policy itself: every ratio is 1, and the values are those of what was recorded
    plain = rows["importance sampling, plain"]
    assert plain["value"] == pytest.approx(said["recorded"])
    assert plain["error"] == pytest.approx(said["recorded"] - said["true"])
    assert said["true"] == pytest.approx(said["recorded"], abs=3)
    assert rows["fitted Q, seed 1"]["value"] != rows["fitted Q, seed 2"]["value"]


def test_box_actions_are_judged_by_fitted_q_alone(tmp_path: Path) -> None:
    run = save_ppo(tmp_path / "swing", gymnasium.make("Pendulum-v1"), "Pendulum-v1")
    said = found(run, recorded(run, "Pendulum-v1", tmp_path / "x", 0.3), "--true", "0", "--seeds", "1")
    assert [row["method"] for row in said["estimates"]] == ["fitted Q, seed 1"]
    assert said["true"] is None
    assert said["estimates"][0]["error"] is None
