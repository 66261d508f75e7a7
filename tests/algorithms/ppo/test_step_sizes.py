"""Step sizes of policy and values: every engine takes the same steps, whatever the networks and the sizes."""

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.networks import Layout, Shape
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients.analytic import Analytic
from surreal.algorithms.ppo.gradients.autograd import Autograd
from surreal.algorithms.ppo.gradients.base import Rates, StepSizes
from surreal.algorithms.ppo.gradients.compiled import Compiled
from surreal.algorithms.types import Array
from tests.algorithms.models.samples import NUMBERS, PLANES, model, observed, vector
from tests.algorithms.ppo.samples import as_tensors, random_minibatch, random_vector

SIZES = st.sampled_from([0.0, 1e-4, 1e-3, 4e-3])


@settings(max_examples=25, deadline=None)
@given(
    hidden=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    discrete=st.booleans(),
    rates=st.lists(st.tuples(SIZES, SIZES), min_size=1, max_size=4),
    whole=st.sampled_from([None, 1, 3, 64]),
    numba=st.booleans(),
)
def test_engines_agree_after_steps_of_any_sizes(
    hidden: list[int], discrete: bool, rates: list[tuple[float, float]], whole: int | None, numba: bool
) -> None:
    shape = Shape(Spaces.flat(5, 3, discrete), tuple(hidden))
    config = PPOConfig(device="cpu", max_grad_norm=0.5, value_step_inputs=whole)
    by_hand = (Compiled if numba else Analytic)(shape, config, random_vector(shape))
    automatic = Autograd(shape, config, random_vector(shape))
    for seed, each in enumerate(rates):
        minibatch = random_minibatch(shape, 23, seed)
        by_hand.step(minibatch, Rates(*each), 1.0, None)
        automatic.step(as_tensors(minibatch), Rates(*each), 1.0, None)
    np.testing.assert_allclose(by_hand.parameters(), automatic.parameters(), rtol=1e-3, atol=1e-4)


APART: dict[str, dict[str, Any]] = {
    "relu": {"activation": "relu"},
    "gsde": {"std": "gsde"},
    "widths": {"policy": [6], "value": [9, 4]},
    "told": {"shared": False},
}
SHARED: dict[str, dict[str, Any]] = {"trunk": {"trunk": [6]}, "memory": {"memory": {"kind": "gru", "size": 4}}}


def moved(layout: Layout, values: float) -> Array:
    """Return how far each parameter goes in two steps."""
    engine = Autograd(layout, PPOConfig(device="cpu"), vector(layout))
    for seed in range(2):
        minibatch = random_minibatch(layout, 12, seed)._replace(observations=observed(layout, 12, seed))
        engine.step(as_tensors(minibatch), Rates(1e-3, values), 1.0, None)
    return engine.parameters() - vector(layout)


@pytest.mark.parametrize("network", APART.values(), ids=APART)
def test_a_network_of_values_alone_follows_its_step_size(network: dict[str, Any]) -> None:
    layout = model(NUMBERS, spaces.Box(-1, 1, (2,), np.float32), **network)
    own = layout.of_values()
    still = moved(layout, 0.0)
    assert own.any() and (still[own] == 0).all() and still[~own].any()
    assert (moved(layout, 4e-3)[own] != 0).any()


@pytest.mark.parametrize("layout", [model(PLANES), *(model(NUMBERS, **each) for each in SHARED.values())])
def test_networks_that_share_an_encoder_have_one_step_size(layout: Layout) -> None:
    assert not layout.of_values().any()
    if not layout.state_size:
        assert (moved(layout, 0.0) == moved(layout, 4e-3)).all()


SIZES_APART = Rates(1e-3, 4e-3)


def sizes_of(layout: Layout, **config: Any) -> dict[str, Array]:
    """Return the step size of each parameter, by part."""
    return layout.views(StepSizes(layout, PPOConfig(**config)).of(SIZES_APART))


def test_weights_of_values_with_many_inputs_take_shorter_steps() -> None:
    of = sizes_of(Shape(Spaces.flat(100, 3, False), (64, 80)))
    np.testing.assert_allclose(of["weight0"][1], 64 / 100 * 4e-3, rtol=1e-6)
    np.testing.assert_allclose(of["weight1"][1], 4e-3, rtol=1e-6)
    np.testing.assert_allclose(of["value.weight"], 64 / 80 * 4e-3, rtol=1e-6)
    np.testing.assert_allclose(of["bias0"][1], 4e-3, rtol=1e-6)
    for name in ("weight0", "weight1", "bias0"):
        np.testing.assert_allclose(of[name][0], 1e-3, rtol=1e-6)
    for name in ("policy.weight", "log_std"):
        np.testing.assert_allclose(of[name], 1e-3, rtol=1e-6)


@pytest.mark.parametrize("config", [{"value_step_inputs": None}, {"value_learning_rate": None}])
def test_null_gives_all_weights_of_values_the_same_step(config: dict[str, Any]) -> None:
    of = sizes_of(Shape(Spaces.flat(100, 3, False), (64, 80)), **config)
    np.testing.assert_allclose(of["weight0"][1], 4e-3, rtol=1e-6)


def test_dense_layers_of_other_networks_take_shorter_steps_too() -> None:
    layout = model(NUMBERS, spaces.Box(-1, 1, (2,), np.float32), trunk=[6], policy=[9], value=[4])
    inputs = layout.views(layout.inputs())
    found = {name: set(np.unique(array)) for name, array in inputs.items() if name.endswith(".weight")}
    assert found == {
        "trunk.0.weight": {5},
        "policy.0.weight": {6},
        "policy.1.weight": {9},
        "value.0.weight": {6},
        "value.1.weight": {4},
    }
    assert all((array == 1).all() for name, array in inputs.items() if not name.endswith(".weight"))


@pytest.mark.parametrize("layout", [model(PLANES), model(NUMBERS, **SHARED["memory"])], ids=["images", "memory"])
def test_networks_of_images_and_with_a_memory_take_the_same_step(layout: Layout) -> None:
    assert (layout.inputs() == 1).all()
