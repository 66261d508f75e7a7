"""Environments stepped together: episode ends, bounds, seeds, ids."""

from typing import Any

import gymnasium
import numpy as np
import pytest

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.vector import VectorEnvironments

Array = np.ndarray[Any, Any]


class Clock(gymnasium.Env[Any, Any]):
    """Counts steps; terminates after `ends`, is truncated after `cut`; choices start at 3."""

    observation_space = gymnasium.spaces.Box(-100, 100, (1,))
    action_space = gymnasium.spaces.Discrete(2, start=np.int64(3))

    def __init__(self, ends: int = 10**6, cut: int = 10**6) -> None:
        self.ends, self.cut, self.t = ends, cut, 0
        self.actions: list[int] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Array, dict[str, Any]]:
        self.t = 0
        return np.array([0.0]), {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        self.t += 1
        self.actions.append(int(action))
        return np.array([float(self.t)]), 1.0, self.t >= self.ends, self.t >= self.cut, {}


def clock(**options: int) -> Environment:
    return Environment(Clock(**options), "clock")


def run(envs: VectorEnvironments, steps: int, copies: int) -> tuple[Array, Array, Array, list[Array]]:
    observations = np.zeros((steps + 1, copies, 1), dtype=np.float32)
    observations[0] = envs.reset()
    rewards = np.zeros((steps, copies))
    ended, cut = np.zeros((steps, copies), dtype=bool), np.zeros((steps, copies), dtype=bool)
    final: list[Array] = []
    for t in range(steps):
        final += envs.step(np.zeros(copies, dtype=np.int64), observations[t + 1], rewards[t], ended[t], cut[t])
    return observations[:, :, 0], ended, cut, final


def test_a_truncated_episode_gives_its_final_observation_and_starts_anew() -> None:
    observations, ended, cut, final = run(VectorEnvironments(lambda: clock(cut=3), 2, 0), 4, 2)
    assert cut[:, 0].tolist() == [False, False, True, False]
    assert not ended.any()
    assert observations[:, 0].tolist() == [0, 1, 2, 0, 1]
    assert [f.tolist() for f in final] == [[3.0], [3.0]]


def test_a_terminated_episode_is_not_truncated_even_where_both_are_said() -> None:
    _, ended, cut, final = run(VectorEnvironments(lambda: clock(ends=2, cut=2), 1, 0), 2, 1)
    assert ended[:, 0].tolist() == [False, True]
    assert not cut.any()
    assert final == []


def test_discrete_actions_are_shifted_to_where_the_space_starts() -> None:
    made = Clock()
    run(VectorEnvironments(lambda: Environment(made, "clock"), 1, 0), 3, 1)
    assert made.actions == [3, 3, 3]


def test_box_actions_beyond_the_bounds_act_like_the_bounds() -> None:
    results = []
    for size in (1.0, 50.0):
        envs = VectorEnvironments(lambda: make_env("HalfCheetah-v5"), 1, seed=7)
        envs.reset()
        row, rest = np.zeros((1, 17), dtype=np.float32), (np.zeros(1), np.zeros(1, bool), np.zeros(1, bool))
        envs.step(np.full((1, 6), size, dtype=np.float32), row, *rest)
        results.append(row)
        envs.close()
    assert (results[0] == results[1]).all()


def test_copies_start_differently_and_the_same_seed_starts_the_same() -> None:
    first, second = (VectorEnvironments(lambda: make_env("CartPole-v1"), 3, seed=5).reset() for _ in range(2))
    assert (first == second).all()
    assert len({tuple(row) for row in first}) == 3


@pytest.mark.parametrize(
    ("env_id", "spaces"),
    [("CartPole-v1", (4, 2, True)), ("HalfCheetah-v5", (17, 6, False)), ("Hopper-v5", (11, 3, False))],
)
def test_known_environments_have_their_spaces(env_id: str, spaces: tuple[int, int, bool]) -> None:
    env = make_env(env_id)
    assert (env.spaces.observation, env.spaces.action, env.spaces.discrete) == spaces
    env.close()


@pytest.mark.parametrize("env_id", ["Ant-v5", "Walker2d-v5", "Humanoid-v5", "Swimmer-v5", "Reacher-v5", "Pusher-v5"])
def test_mujoco_tasks_step(env_id: str) -> None:
    envs = VectorEnvironments(lambda: make_env(env_id), 1, seed=0)
    first = envs.reset()
    row = np.zeros_like(first)
    envs.step(np.zeros((1, envs.spaces.action)), row, np.zeros(1), np.zeros(1, bool), np.zeros(1, bool))
    assert np.isfinite(row).all()
    envs.close()


def test_dictionary_observations_are_flattened() -> None:
    class Dicts(Clock):
        observation_space = gymnasium.spaces.Dict(  # type: ignore[assignment]
            {"a": gymnasium.spaces.Box(-1, 1, (2,)), "b": gymnasium.spaces.Box(-1, 1, (3,))}
        )

    gymnasium.register("test/Dicts-v0", lambda **_: Dicts(), order_enforce=False)
    try:
        assert make_env("test/Dicts-v0").spaces.observation == 5
    finally:
        del gymnasium.registry["test/Dicts-v0"]
