"""Outputs of -1 and 1 are the bounds of an action, for the actor, the evaluator and a loaded policy alike."""

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from surreal.algorithms.environments.actions import onto_bounds
from surreal.algorithms.policies import load_policy
from surreal.algorithms.types import Array
from tests.algorithms.fabric import Run, wait_for
from tests.algorithms.ppo.test_rollout import collect, make_rollout

VALVE = """
import gymnasium
import numpy as np


class Valve(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Box(0, 1000, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return np.zeros(2, dtype=np.float32), {}

    def step(self, action):
        self.t += 1
        return np.zeros(2, dtype=np.float32), float(action[0]), False, self.t >= 10, {}
"""


def test_outputs_are_spread_over_the_bounds_and_entries_without_bounds_stay() -> None:
    infinity, most = np.inf, np.finfo(np.float32).max
    low, high = np.array([0, -0.4, -infinity, -most, -3]), np.array([1000, 0.4, infinity, most, infinity])
    scaled = onto_bounds(spaces.Box(low.astype(np.float32), high.astype(np.float32)))
    outputs = np.array([[-1.0] * 5, [0.0] * 5, [1.0] * 5, [2.0] * 5], dtype=np.float32)
    expected: list[list[float]] = [[0, -0.4, -1, -1, -1], [500, 0, 0, 0, 0], [1000, 0.4, 1, 1, 1], [1500, 0.8, 2, 2, 2]]
    np.testing.assert_allclose(scaled(outputs), np.array(expected), rtol=1e-6)


def test_choices_and_bounds_of_one_stay_as_they_are() -> None:
    choices = np.array([0, 2])
    assert (onto_bounds(spaces.Discrete(3))(choices) == choices).all()
    outputs = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    assert (onto_bounds(spaces.Box(-1, 1, (2,), np.float32))(outputs) == outputs).all()


def test_an_actor_scales_what_it_steps_with_and_learns_from_what_the_policy_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rollout, _, standardize = make_rollout("Pendulum-v1", 2, 8)  # torques within +-2
    stepped: list[Array] = []
    step = rollout._envs.step

    def spy(outputs: Array, *rest: Any) -> Any:
        stepped.append(outputs)
        return step(outputs, *rest)

    monkeypatch.setattr(rollout._envs, "step", spy)
    fragment = collect(rollout, standardize)
    np.testing.assert_allclose(np.array(stepped), 2 * fragment["actions"], rtol=1e-6)


def test_actor_evaluator_and_loaded_policy_act_alike(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "valve.py").write_text(VALVE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    config = {"fragment_steps": 32, "learning_rate": 1e-9, "hidden": [4], "evaluate_episodes": 1}
    with Run(folder, config, env="valve:Valve") as run:
        run.start_all()
        wait_for(lambda: run.rows("evaluator/0") and any((folder / "checkpoints").glob("best-*")))
        wait_for(lambda: run.rows() and run.rows()[-1]["episodes"] > 100)
        trained = run.rows()[-1]["episode_return"]
    assert 4000 < trained < 6000  # ten steps around the middle, 500
    policy = load_policy(folder)
    # The score of these very weights: the evaluator's rows are of several versions.
    evaluated, action = policy.about["score"], policy(np.zeros((1, 2), dtype=np.float32))
    assert evaluated == pytest.approx(10 * float(action[0, 0]), rel=1e-5)
    assert 4900 < evaluated < 5100


def test_gymnasium_takes_what_a_policy_does(tmp_path: Path) -> None:
    env = gymnasium.make("Pendulum-v1")
    outputs = np.array([[-1.0], [0.3], [1.0]], dtype=np.float32)
    assert all(env.action_space.contains(action) for action in onto_bounds(env.action_space)(outputs))
    env.close()
