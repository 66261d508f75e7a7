"""Features that float32 cannot tell apart, or cannot hold, before they are centred."""

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.es.observation_sums import standardizer
from surreal.algorithms.networks import Policy, Shape
from surreal.algorithms.normalizers import RunningMoments, Standardizer
from surreal.algorithms.rollouts.rollout import Rollout
from tests.algorithms.environments.own.odd import Odd

NOW = 1.7e9


class Clock(Odd):
    """Sees the seconds since 1970, a minute a step, and a number between 0 and 1."""

    observation_space = spaces.Box(0, np.inf, (2,), np.float64)

    def __init__(self, start: float = NOW, dtype: Any = np.float64) -> None:
        super().__init__(length=0)
        self.start, self.dtype = start, dtype

    def _see(self) -> Any:
        return np.array([self.start + 60 * self.t, self.t % 2]).astype(self.dtype)


def rollout(env: Clock) -> Rollout:
    envs = VectorEnvironments(lambda: Environment(env, "clock"), 1, 0)
    policy = Policy(Shape(envs.spaces, (4,)))
    return Rollout(envs, policy, 1, 8, np.random.default_rng(0))


@pytest.mark.parametrize(("start", "dtype"), [(NOW, np.float64), (NOW, np.int64), (1e39, np.float64)])
def test_large_features_travel_in_the_type_that_holds_them(start: float, dtype: Any) -> None:
    fragment = rollout(Clock(start, dtype)).collect(Standardizer.identity(2), lambda: False)
    assert fragment is not None
    assert fragment["observations"].dtype == np.float64
    assert fragment["observations"][3, 0, 0] == start + 180


def test_small_features_travel_as_float32() -> None:
    fragment = rollout(Clock(100.0)).collect(Standardizer.identity(2), lambda: False)
    assert fragment is not None
    assert fragment["observations"].dtype == np.float32


@pytest.mark.parametrize("make", [Standardizer.of, standardizer])
def test_a_clock_keeps_its_seconds_when_it_is_standardised(make: Any) -> None:
    rows = np.array([[NOW + 60 * t, t % 2] for t in range(100)])
    moments = RunningMoments(2)
    moments.update(rows)
    out = make(moments)(rows)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out[:, 0], (rows[:, 0] - rows[:, 0].mean()) / rows[:, 0].std(), atol=1e-5)


def test_what_float32_cannot_hold_in_a_later_step_is_infinite_without_a_warning() -> None:
    env = Odd("huge", at=3)
    envs = VectorEnvironments(lambda: Environment(env, "huge"), 1, 0)
    ours = Rollout(envs, Policy(Shape(envs.spaces, (4,))), 1, 8, np.random.default_rng(0))
    fragment = ours.collect(Standardizer.identity(3), lambda: False)
    assert fragment is not None
    assert np.isinf(fragment["observations"][-1]).all()
