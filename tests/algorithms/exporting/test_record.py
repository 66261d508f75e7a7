"""Recorded episodes take allowed choices only, and policies get the rewards that they take in."""

from math import log
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.exporting.record import Behaviour, Recording, acting, play
from tests.algorithms.environments.own.parts import Shop

SETTINGS = Recording(Path("unused"), "tests/x", noise=0.5)


class OnePart(Shop):
    """A shop of one part, of whose three choices two are allowed."""

    action_space = spaces.Discrete(3)

    def _info(self) -> dict[str, Any]:
        self.allowed = [np.roll([1, 0, 1], self.steps)]
        return {"action_mask": self.allowed[0].astype(np.int8)}

    def step(self, action: Any) -> Any:
        return super().step([action])


class Fake:
    """A policy with memory that takes the first choice allowed, and notes what it was given."""

    state_size = 1

    def __init__(self) -> None:
        self.rewards: list[float] = []

    def initial_state(self, n: int) -> Any:
        return np.zeros((n, 1))

    def step(self, rows: Any, state: Any, sample: bool, rng: Any, masks: Any, rewards: Any) -> Any:
        self.rewards.append(float(rewards[0]))
        return masks.argmax(axis=1), state


@pytest.mark.parametrize("env", [Shop(), OnePart()], ids=["several", "one"])
def test_random_actions_are_of_the_choices_that_are_allowed(env: gymnasium.Env[Any, Any]) -> None:
    act = acting(Behaviour("random", None), env.action_space, SETTINGS)
    for number in range(5):
        found = play(Environment(env, "shop"), act, number, np.random.default_rng(number), "here")
        assert found.rewards.tolist() == [1.0] * 7
        if isinstance(env, OnePart):
            assert found.behaviour["log_probabilities"] == pytest.approx(-log(2))


def test_a_policy_is_told_the_choices_allowed_and_the_last_reward_and_so_is_its_noise() -> None:
    made, policy = Environment(OnePart(), "shop"), Fake()
    act = acting(Behaviour("fake", policy), made.spaces.action_space, SETTINGS)  # type: ignore[arg-type]
    found = play(made, act, 1, np.random.default_rng(1), "here")
    assert found.rewards.tolist() == [1.0] * 7
    assert policy.rewards == [0.0] + [1.0] * 6
    policy.rewards.clear()
    made.reward_in_training = lambda reward: reward / 2
    play(made, act, 1, np.random.default_rng(1), "here")
    assert policy.rewards == [0.0] + [0.5] * 6
    assert set(np.exp(found.behaviour["log_probabilities"]).round(6).tolist()) == {0.25, 0.75}


@pytest.mark.parametrize("last", [np.zeros(5), None], ids=["nothing", "none"])
def test_an_episode_may_end_with_a_mask_that_allows_nothing(last: Any) -> None:
    made = Environment(Shop(last, when=7), "shop")
    act = acting(Behaviour("random", None), made.spaces.action_space, SETTINGS)
    assert play(made, act, 1, np.random.default_rng(1), "here").rewards.tolist() == [1.0] * 7
