"""Observation statistics of a run's first generation."""

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.es.batched_policy import Layout
from surreal.algorithms.es.collector import Results
from surreal.algorithms.es.config import ARSConfig, ESConfig
from surreal.algorithms.es.state import State
from surreal.protocol.errors import Fatal


class Clock(gymnasium.Env):
    """Tells a height that hardly changes, the milliseconds of a day, and a stroke of 50 every tenth step."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float64)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, Any]:
        super().reset(seed=seed)
        self._now = 0.0
        return self._seen(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._now += 1.0
        return self._seen(), 0.0, False, self._now >= 100, {}

    def _seen(self) -> np.ndarray:
        stroke = 50.0 if self._now % 10 == 0 else 0.0
        return np.array([1.25 + 1e-3 * np.sin(self._now), 5e7 + 1e5 * self._now, stroke])


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    gymnasium.register("tests/Clock-v0", lambda **_: Clock())
    yield
    gymnasium.registry.pop("tests/Clock-v0")


SEEN = np.array([1.25, 5e7, 50.0])


def begun(config: ARSConfig | ESConfig) -> State:
    env = make_env("tests/Clock-v0")
    state = State(Layout.of(config, env.spaces), config, seed=1, workers=1)
    state.see_reference(env)
    env.close()
    return state


@pytest.mark.parametrize("config", [ARSConfig(), ESConfig()], ids=["ars", "es"])
def test_a_run_that_is_resumed_in_its_first_generation_standardises_as_before(config: ARSConfig | ESConfig) -> None:
    before, env = begun(config), make_env("tests/Clock-v0")
    resumed = State(Layout.of(config, env.spaces), config, seed=1, workers=1)
    resumed.checkpoint()  # the training loop compares its shapes with those of the one that it restores
    resumed.restore(before.checkpoint())
    for name, array in before.standardizer().arrays().items():
        np.testing.assert_array_equal(resumed.standardizer().arrays()[name], array, err_msg=name)


def test_a_policy_that_learned_without_statistics_goes_on_without() -> None:
    plain, wanted = begun(ARSConfig(normalize_observations="none")), begun(ARSConfig())
    for state, other, had in (wanted, plain, "none"), (plain, wanted, "running"):
        with pytest.raises(Fatal, match=f"normalize_observations: the checkpoint learned with {had}, and its networks"):
            state.restore(other.checkpoint())
    begun(ARSConfig(normalize_observations="virtual")).restore(wanted.checkpoint())


def test_a_policy_of_another_size_is_not_taken() -> None:
    with pytest.raises(ValueError, match="this policy has .* parameters, and it has"):
        begun(ESConfig(hidden=[3])).restore(begun(ESConfig(hidden=[4])).checkpoint())


def thousand(height: int) -> Results:
    """One pair, whose thousand observations were all of this height, standardised as it is."""
    units = 256 * height
    sums = np.array([1000 * units, 0, 0, 1000 * units**2, 0, 0, 1000])
    zeros, steps = np.zeros(1, np.int64), np.full((1, 2), 500)
    return Results(zeros, zeros, np.array([[0.0, 1.0]]), steps, {0: sums}, 0)


def test_ars_leaves_a_small_feature_as_it_is_and_standardises_a_large_one() -> None:
    height, clock, stroke = begun(ARSConfig()).standardizer()(SEEN)
    assert height == pytest.approx(1.25)
    assert -3 < clock < 0
    assert stroke == pytest.approx(3, abs=0.1)  # large at times is large


def test_what_ars_begins_with_weighs_as_much_as_a_thousand_observations() -> None:
    state = begun(ARSConfig())
    state.standardizer()  # is what a generation is sent
    state.learn(thousand(height=4))
    height, _, _ = state.standardizer()(np.zeros(3))
    mean, deviation = 2.0, np.sqrt((1 + 4 + 4 + 0) / 2)  # halves of (0, 1) and of (4, 0)
    assert height == pytest.approx(-mean / deviation, rel=0.01)


@pytest.mark.parametrize("config", [ARSConfig(normalize_observations="virtual"), ESConfig()])
def test_other_statistics_begin_with_random_actions(config: ARSConfig | ESConfig) -> None:
    height, clock, _ = begun(config).standardizer()(SEEN)
    assert abs(height) < 0.5
    assert -3 < clock < 0
