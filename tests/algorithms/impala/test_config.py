"""Settings of IMPALA: what is refused, and what a plan says."""

from typing import Any

import pytest
from pydantic import ValidationError

from surreal.algorithms.algorithm import Sizing
from surreal.algorithms.impala.config import IMPALAConfig, sizing
from surreal.algorithms.registry import IMPALA, algorithm
from tests.algorithms.gpu.networks import layout_of


def sized(actors: int = 2, **config: Any) -> Sizing:
    return sizing(IMPALAConfig(**config), {"actor": actors}, {"id": "CartPole-v1", "copies": 8})


@pytest.mark.parametrize("key", ["rho_bar", "c_bar", "policy_rho_bar"])
@pytest.mark.parametrize("bar", [-1.0, 0.0])
def test_a_bar_that_is_not_positive_is_refused(key: str, bar: float) -> None:
    with pytest.raises(ValidationError, match=rf"{key}\n  Input should be greater than 0"):
        IMPALAConfig.model_validate({key: bar})


def test_the_trace_is_never_bounded_above_the_temporal_difference() -> None:
    with pytest.raises(ValidationError, match=r"c_bar: 2.0 is above rho_bar: 1.0. Set at most 1.0"):
        IMPALAConfig(c_bar=2.0)
    with pytest.raises(ValidationError, match="c_bar: None is above rho_bar"):
        IMPALAConfig(c_bar=None)
    assert IMPALAConfig(rho_bar=None, c_bar=None).c_bar is None


def test_a_lag_beyond_the_queue_is_refused_with_the_largest_that_fits() -> None:
    assert sized(artificial_lag=2047, batch_fragments=2).problems == ()
    ((key, text),) = sized(artificial_lag=2048, batch_fragments=2).problems
    assert key == "artificial_lag"
    assert text == "2048 updates of 2 fragments are more than a learner's queue of 4,096. Set at most 2047."


def test_a_plan_says_how_large_an_update_is_and_what_corrects_it() -> None:
    notes = sized(total_steps=100_000, batch_fragments=2, replay_ratio=1.0).notes
    assert notes[0] == (
        "an update takes the first 2 fragments that have come, of 20 fragment_steps x 8 copies each: "
        "320 transitions, 313 updates in all"
    )
    assert notes[1].endswith("V-trace corrects for older weights (rho_bar 1, c_bar 1, policy_rho_bar 1)")
    assert notes[2] == "2 more fragments of an update are drawn from the last 64"
    assert sized().notes[0].startswith("an update takes the first fragment that has come, of 20 fragment_steps x 8")
    assert "gradients by hand on the CPU" in notes[3]


@pytest.mark.parametrize(
    ("kind", "epsilon", "entropy"),
    [
        ("tanh-pair", 1e-3, 0.0),
        ("tanh-pair-choices", 1e-3, 0.02),
        ("small-cnn", 1e-5, 0.02),
        ("nature-cnn", 1e-5, 0.02),
        ("parts", 1e-5, 0.0),
    ],
)
def test_what_is_left_open_is_decided_by_images_and_by_choices(kind: str, epsilon: float, entropy: float) -> None:
    found = IMPALAConfig().of(layout_of(kind))
    assert (found.optimizer_epsilon, found.entropy_coef) == (epsilon, entropy)
    said = IMPALAConfig(optimizer_epsilon=0.1, entropy_coef=0.0, learning_rate=0.5).of(layout_of(kind))
    assert (said.optimizer_epsilon, said.entropy_coef, said.learning_rate) == (0.1, 0.0, 0.5)
    assert said.of(layout_of("small-cnn")) is said


def test_settings_that_are_for_tests_or_do_harm_are_warned_of() -> None:
    assert sized().warnings == ()
    warnings = sized(artificial_lag=20, correction="none", replay_ratio=1.0).warnings
    assert len(warnings) == 2 and "a test aid" in warnings[0] and "Set vtrace" in warnings[1]


def test_the_convolution_of_small_images_is_compiled_in_long_runs_alone() -> None:
    images: dict[str, Any] = {"network": {"encoder": "small-cnn"}, "total_steps": 200_000}
    assert any("by hand on the CPU, compiled by numba" in note for note in sized(**images).notes)
    assert not sized_compiles(**{**images, "total_steps": 199_999})
    assert not sized_compiles(**{**images, "network": {}})


def sized_compiles(**config: Any) -> bool:
    return any("numba" in note for note in sized(**config).notes)


def test_impala_is_known_by_its_name() -> None:
    assert algorithm("impala") is IMPALA
