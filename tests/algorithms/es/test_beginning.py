"""Observation statistics of a run's first generation."""

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.es.batched_policy import Layout
from surreal.algorithms.es.config import ARSConfig, ESConfig
from surreal.algorithms.es.state import State
from surreal.algorithms.normalizers import Standardizer


class Clock(gymnasium.Env):
    """Tells a height that hardly changes, and the milliseconds of a day."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, Any]:
        super().reset(seed=seed)
        self._now = 0.0
        return self._seen(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._now += 1.0
        return self._seen(), 0.0, False, self._now >= 100, {}

    def _seen(self) -> np.ndarray:
        return np.array([1.25 + 1e-3 * np.sin(self._now), 5e7 + 1e5 * self._now])


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    gymnasium.register("tests/Clock-v0", lambda **_: Clock())
    yield
    gymnasium.registry.pop("tests/Clock-v0")


def begun(config: ARSConfig | ESConfig) -> Standardizer:
    env = make_env("tests/Clock-v0")
    state = State(Layout.of(config, env.spaces), config, seed=1, workers=1)
    state.see_reference(env)
    env.close()
    return state.standardizer()


def test_ars_leaves_a_small_feature_as_it_is_and_standardises_a_large_one() -> None:
    standardize = begun(ARSConfig())
    height, clock = standardize(np.array([1.25, 5e7], np.float64))
    assert height == pytest.approx(1.25)
    assert -3 < clock < 0


@pytest.mark.parametrize("config", [ARSConfig(normalize_observations="virtual"), ESConfig()])
def test_other_statistics_begin_with_random_actions(config: ARSConfig | ESConfig) -> None:
    height, clock = begun(config)(np.array([1.25, 5e7], np.float64))
    assert abs(height) < 0.5
    assert -3 < clock < 0
