"""Copies that are stepped together take the very steps that gymnasium takes, to the last bit."""

import logging
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv

from surreal.algorithms.acting.actors import environments_of
from surreal.algorithms.environments.batched import batch, known
from surreal.algorithms.environments.batched.batch import Batch, batch_of
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.offpolicy.graph import SAC
from surreal.algorithms.registry import PPO
from surreal.protocol.errors import Fatal
from tests.algorithms.fabric import Run

NAMES = sorted(known.KNOWN)
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    (
        "Ant-v5",
        {
            "exclude_current_positions_from_observation": False,
            "include_cfrc_ext_in_observation": False,
            "terminate_when_unhealthy": False,
            "contact_force_range": (-0.5, 2.0),
            "contact_cost_weight": 0.1,
            "main_body": "torso",
            "frame_skip": 3,
        },
    ),
    ("HalfCheetah-v5", {"exclude_current_positions_from_observation": False, "forward_reward_weight": 3.3}),
    ("Hopper-v5", {"healthy_state_range": (-1, 1), "healthy_angle_range": (-0.1, 0.3), "healthy_reward": 2.5}),
    (
        "Humanoid-v5",
        {
            "exclude_current_positions_from_observation": False,
            "include_cinert_in_observation": False,
            "include_qfrc_actuator_in_observation": False,
            "contact_cost_range": (-1, 0.5),
            "contact_cost_weight": 1e-3,
        },
    ),
    ("HumanoidStandup-v5", {"include_cvel_in_observation": False, "impact_cost_range": (0, 0.1)}),
    ("InvertedDoublePendulum-v5", {"healthy_reward": 3.3, "frame_skip": 2}),
    ("Pusher-v5", {"reward_near_weight": 0.3, "reward_control_weight": 0.05}),
    ("Reacher-v5", {"reward_dist_weight": 0.7, "max_episode_steps": 7}),
    ("Swimmer-v5", {"exclude_current_positions_from_observation": False, "ctrl_cost_weight": 0.1}),
    ("Walker2d-v5", {"terminate_when_unhealthy": False, "healthy_z_range": (1.0, 1.3)}),
]


def compared(name: str, options: dict[str, Any], steps: int, copies: int = 3) -> int:
    """Step both ways with the same actions; return the number of episodes that ended."""
    envs = VectorEnvironments(lambda: make_env({"id": name, "options": options}), copies, seed=5)
    assert envs._batch is not None
    alone = [gymnasium.make(name, **options) for _ in range(copies)]
    expected = np.stack([env.reset(seed=5 + index)[0] for index, env in enumerate(alone)]).astype(np.float32)
    rows = envs.reset()
    assert isinstance(rows, np.ndarray) and np.array_equal(rows, expected)
    random, episodes = np.random.default_rng(2), 0
    low, high = alone[0].action_space.low, alone[0].action_space.high  # type: ignore[attr-defined]
    for _ in range(steps):
        outputs = random.uniform(1.2 * low, 1.2 * high, (copies, *low.shape)).astype(np.float32)
        rewards, ended, cut = np.zeros(copies), np.zeros(copies, bool), np.zeros(copies, bool)
        final = envs.step(outputs, rows, rewards, ended, cut)
        for index, env in enumerate(alone):
            observation, reward, over, late, _ = env.step(np.clip(outputs[index], low, high))
            assert (rewards[index], ended[index], cut[index]) == (reward, over, late and not over)
            if cut[index]:
                assert np.array_equal(final.pop(0), observation.astype(np.float32))
            if over or late:
                episodes += 1
                observation = env.reset()[0]
            assert np.array_equal(rows[index], observation.astype(np.float32))
    envs.close()
    return episodes


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_gymnasiums(name: str) -> None:
    assert compared(name, {"max_episode_steps": 60}, 200) >= 9


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_a_step_is_gymnasiums_with_other_options(name: str, options: dict[str, Any]) -> None:
    compared(name, options, 120)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_twenty_thousand_steps_are_gymnasiums(name: str) -> None:
    assert compared(name, {}, 20_000 // 4, copies=4) >= 4


class Faster(HalfCheetahEnv):
    """A task of one's own below a known one."""


class Doubled(gymnasium.RewardWrapper[Any, Any]):
    def reward(self, reward: Any) -> float:
        return 2 * float(reward)


def replaced() -> gymnasium.Env[Any, Any]:
    env = gymnasium.make("HalfCheetah-v5", disable_env_checker=True)
    inner: Any = env.unwrapped
    inner.step = inner.step
    return env


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: Faster(), "none of gymnasium's MuJoCo v5 tasks"),
        (
            lambda: Doubled(gymnasium.make("HalfCheetah-v5", disable_env_checker=True)),
            "the wrapper Doubled lies in between",
        ),
        (lambda: gymnasium.make("HalfCheetah-v5", render_mode="rgb_array", disable_env_checker=True), "render mode"),
        (lambda: gymnasium.make("CartPole-v1"), "none of gymnasium's MuJoCo v5 tasks"),
        (replaced, "a method of it was replaced"),
    ],
)
def test_what_is_not_the_known_task_is_stepped_by_gymnasium(
    made: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    env = Environment(made(), "other")
    assert batch_of([env]) is None and not caplog.records
    with pytest.raises(Fatal, match=f"env.stepping: 'batched' cannot step 'other': .*{reason}.*Use auto"):
        batch_of([env], "batched")
    env.close()


def test_a_task_that_steps_in_another_way_is_left_to_gymnasium_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(batch.task_of("HalfCheetah"), "skipped", 0)  # as if a release observed otherwise
    monkeypatch.setattr(batch.task_of("HalfCheetah"), "rewards", lambda self, actions: self.speed())
    env = make_env({"id": "HalfCheetah-v5"})
    with caplog.at_level(logging.WARNING):
        assert batch_of([env]) is None
    assert "HalfCheetah-v5 is stepped by gymnasium" in caplog.text
    with pytest.raises(Fatal, match="env.stepping: 'batched' cannot step 'HalfCheetah-v5'"):
        batch_of([env], "batched")


def test_gymnasium_steps_where_it_is_asked_for() -> None:
    assert batch_of([make_env({"id": "Hopper-v5"})], "gymnasium") is None
    assert isinstance(batch_of([make_env({"id": "Hopper-v5"})], "batched"), Batch)


@pytest.mark.parametrize(("stepping", "together"), [("auto", True), ("gymnasium", False)])
def test_the_actor_of_every_algorithm_steps_as_the_experiment_says(
    tmp_path: Path, stepping: str, together: bool
) -> None:
    for algorithm in (PPO, SAC):
        run = Run(tmp_path, {}, env="HalfCheetah-v5", algorithm=algorithm)
        run.env["stepping"] = stepping
        envs, _ = environments_of(run._wiring("actor", 0, 1))
        assert (envs._batch is not None) is together
        envs.close()


def test_the_trial_leaves_nothing_behind() -> None:
    tried = VectorEnvironments(lambda: make_env({"id": "Pusher-v5"}), 2, 3)
    other = VectorEnvironments(lambda: make_env({"id": "Pusher-v5"}), 2, 3, "gymnasium")
    assert batch.TRIAL_STEPS and np.array_equal(tried.reset(), other.reset())
