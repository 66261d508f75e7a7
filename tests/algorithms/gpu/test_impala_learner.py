"""IMPALA's learner on a GPU: the steps of the CPU, for every kind of network and both optimizers."""

from typing import Any

import numpy as np
import pytest

from surreal.algorithms.impala.gradients.autograd import Autograd
from surreal.algorithms.networks import Layout
from tests.algorithms.gpu.device import DEVICE, NEEDS_GPU, STEPS, apart, same_state, unroll
from tests.algorithms.gpu.networks import NETWORKS, layout_of, settings_of
from tests.algorithms.impala.samples import impala
from tests.algorithms.models.samples import vector

pytestmark = NEEDS_GPU
KINDS = pytest.mark.parametrize("kind", NETWORKS)
OPTIMIZERS = pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
RATE = 1e-3


def engine(kind: str, layout: Layout, device: Any, **more: Any) -> Autograd:
    settings = settings_of(kind, device, fragment_steps=STEPS, sequence_steps=None, **more)
    settings.pop("sequence_steps")
    return Autograd(layout, impala(**settings), vector(layout))


@KINDS
def test_steps_on_a_gpu_are_those_of_the_cpu(kind: str) -> None:
    layout = layout_of(kind)
    cpu, gpu = (engine(kind, layout, device, optimizer="rmsprop") for device in ("cpu", DEVICE))
    for seed in range(3):
        told = [each.step(unroll(layout, seed), RATE) for each in (cpu, gpu)]
        # a ratio at a bar may be clipped on one of them alone
        assert told[1] == pytest.approx(told[0], rel=5e-3, abs=0.01)
        gradients = [each._network.vector.grad for each in (cpu, gpu)]
        found, expected = (each.cpu().numpy() for each in reversed(gradients) if each is not None)
        assert apart(found, expected) < 5e-3
    assert gpu._network.vector.device.type == DEVICE
    moved = [each.parameters() - vector(layout) for each in (cpu, gpu)]
    assert np.abs(moved[0]).max() > 1e-4
    assert apart(moved[1], moved[0]) < 0.02


@OPTIMIZERS
@pytest.mark.parametrize("kind", ["tanh-pair", "lstm"])
def test_what_a_gpu_saved_goes_on_on_a_cpu_and_back(kind: str, optimizer: str) -> None:
    layout = layout_of(kind)
    made = [engine(kind, layout, device, optimizer=optimizer) for device in (DEVICE, "cpu", DEVICE)]
    for seed in range(2):
        made[0].step(unroll(layout, seed), RATE)
    saved = {name: array.copy() for name, array in made[0].arrays().items()}
    for each in made[1:]:
        each.load(saved)
        assert same_state(each.arrays(), saved)
    for each in made:
        each.step(unroll(layout, 5), RATE)
    moved = [each.parameters() - saved["parameters"] for each in made]
    assert apart(moved[1], moved[0]) < 0.02 and apart(moved[2], moved[0]) < 1e-3
    made[2].load(made[1].arrays())
    assert same_state(made[2].arrays(), made[1].arrays())


@OPTIMIZERS
def test_a_gradient_that_is_not_finite_changes_nothing_on_a_gpu(optimizer: str) -> None:
    layout = layout_of("small-cnn")
    learner, data = engine("small-cnn", layout, DEVICE, optimizer=optimizer), unroll(layout)
    data.rewards[3, 1] = np.nan
    before = {name: array.copy() for name, array in learner.arrays().items()}
    assert learner.step(data, RATE)["skipped"] == 1.0
    assert same_state(learner.arrays(), before)
    assert learner.step(unroll(layout), RATE)["skipped"] == 0.0
