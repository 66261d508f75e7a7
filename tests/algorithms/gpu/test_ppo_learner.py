"""PPO's learner on a GPU: the gradient and the update of the CPU, for every kind of network."""

from typing import Any

import numpy as np
import pytest
import torch

from surreal.algorithms.networks import Layout
from surreal.algorithms.ppo.batch import Minibatch
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients.autograd import Autograd
from surreal.algorithms.ppo.gradients.base import Rates, Stats
from surreal.algorithms.ppo.update import Updater
from tests.algorithms.gpu.device import DEVICE, NEEDS_GPU, STEPS, apart, same_state, unroll
from tests.algorithms.gpu.networks import NETWORKS, layout_of, settings_of
from tests.algorithms.models.samples import vector

pytestmark = NEEDS_GPU
EACH = pytest.mark.parametrize("kind", NETWORKS)
FEW = pytest.mark.parametrize("kind", ["tanh-pair", "small-cnn", "lstm"])
RATES = Rates(1e-3, 2e-3)


def config(kind: str, device: Any, **more: Any) -> PPOConfig:
    settings = {"fragment_steps": STEPS, "minibatch": 48, "epochs": 2, **more}
    return PPOConfig(**settings_of(kind, device, **settings))


def updaters(kind: str, **more: Any) -> tuple[Layout, list[Updater]]:
    """The same learner on the CPU and on the GPU."""
    layout = layout_of(kind)
    made = [Updater(layout, config(kind, device, **more), 0) for device in ("cpu", DEVICE)]
    for each in made:
        each.gradient.load({**each.arrays(), "parameters": vector(layout)})
    return layout, made


def minibatch(engine: Autograd, layout: Layout) -> Minibatch:
    """The first minibatch of an update."""
    data = unroll(layout)
    batch = engine.batch(data)
    batch.estimate(data.rewards, 0.5 * data.rewards)
    return next(batch.shuffled(np.random.default_rng(0), 48))


@EACH
def test_the_gradient_on_a_gpu_is_that_of_the_cpu(kind: str) -> None:
    layout, gradients, sums = layout_of(kind), [], []
    for device in ("cpu", DEVICE):
        engine, stats = Autograd(layout, config(kind, device), vector(layout)), Stats()
        gradient = engine.differentiate(minibatch(engine, layout), 1.0, stats)
        assert gradient.device.type == device
        gradients.append(gradient.cpu().numpy().copy())
        sums.append(list(stats.means().values()))
    assert np.linalg.norm(gradients[0]) > 1e-3
    assert apart(gradients[1], gradients[0]) < 1e-4
    np.testing.assert_allclose(sums[1], sums[0], rtol=1e-3, atol=1e-5)


@EACH
def test_an_update_on_a_gpu_is_that_of_the_cpu(kind: str) -> None:
    layout, (cpu, gpu) = updaters(kind)
    for seed in range(2):
        told = [each.update(unroll(layout, seed), 0.1) for each in (cpu, gpu)]
        assert told[1] == pytest.approx(told[0], rel=0.02, abs=1e-3)
    moved = [each.parameters() - vector(layout) for each in (cpu, gpu)]
    assert np.abs(moved[0]).max() > 1e-3
    assert apart(moved[1], moved[0]) < 0.03


@pytest.mark.parametrize("objective", [{"objective": "adaptive-kl", "target_kl": 0.02}, {"value_clip": 0.2}], ids=str)
def test_other_objectives_are_those_of_the_cpu(objective: dict[str, Any]) -> None:
    for kind in ("tanh-pair", "nature-cnn"):
        layout, (cpu, gpu) = updaters(kind, **objective)
        told = [each.update(unroll(layout), 0.1) for each in (cpu, gpu)]
        assert told[1] == pytest.approx(told[0], rel=0.02, abs=1e-3)
        moved = [each.parameters() - vector(layout) for each in (cpu, gpu)]
        assert apart(moved[1], moved[0]) < 0.03


@FEW
def test_what_a_gpu_saved_goes_on_on_a_cpu_and_back(kind: str) -> None:
    layout, (cpu, gpu) = updaters(kind)
    _, (cpu_again, gpu_again) = updaters(kind)
    gpu.update(unroll(layout, 1), 0.0)
    saved = {name: array.copy() for name, array in gpu.arrays().items()}
    for each in (cpu, gpu_again):
        each.load(saved, gpu.state())
        assert same_state(each.arrays(), saved)
    for each in (cpu, gpu, gpu_again):
        each.update(unroll(layout, 2), 0.0)
    moved = [each.parameters() - saved["parameters"] for each in (cpu, gpu, gpu_again)]
    assert apart(moved[1], moved[0]) < 0.03 and apart(moved[2], moved[1]) < 0.01
    cpu_again.load(cpu.arrays(), cpu.state())
    gpu_again.load(cpu.arrays(), cpu.state())
    assert same_state(gpu_again.arrays(), cpu_again.arrays())
    assert gpu_again.arrays()["adam_steps"] == cpu.arrays()["adam_steps"]


@FEW
@pytest.mark.parametrize("steps_before", [0, 2])
def test_a_gradient_that_is_not_finite_changes_nothing_on_a_gpu(kind: str, steps_before: int) -> None:
    layout = layout_of(kind)
    engine = Autograd(layout, config(kind, DEVICE), vector(layout))
    good = minibatch(engine, layout)
    for _ in range(steps_before):
        engine.step(good, RATES, 1.0, None)
    before = {name: array.copy() for name, array in engine.arrays().items()}
    engine.step(good._replace(advantages=torch.full_like(good.advantages, float("nan"))), RATES, 1.0, None)
    assert same_state(engine.arrays(), before)
    assert (engine.skipped(), engine.skipped()) == (1, 0)
    engine.step(good, RATES, 1.0, None)
    assert (engine.parameters() != before["parameters"]).any() and engine.skipped() == 0


@pytest.mark.parametrize("kind", ["tanh-pair", "nature-cnn", "cnn-lstm"])
def test_bfloat16_is_near_float32_on_a_gpu(kind: str) -> None:
    layout, gradients = layout_of(kind), []
    for precision in ("float32", "bfloat16"):
        engine = Autograd(layout, config(kind, DEVICE, precision=precision), vector(layout))
        gradients.append(engine.differentiate(minibatch(engine, layout), 1.0, None).cpu().numpy().copy())
    assert 0 < apart(gradients[1], gradients[0]) < 0.2  # an H200 has 0.12 of nature-cnn


# torch says that tensor cores are not used for float32
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(DEVICE == "cpu", reason="the compiled network of a CPU has a test of its own")
def test_a_compiled_network_has_the_gradient_of_the_plain_one_on_a_gpu() -> None:
    layout, gradients = layout_of("small-cnn"), []
    for compiled in (False, True):
        engine = Autograd(layout, config("small-cnn", DEVICE, compile=compiled), vector(layout))
        gradients.append(engine.differentiate(minibatch(engine, layout), 1.0, None).cpu().numpy().copy())
    assert apart(gradients[1], gradients[0]) < 1e-3


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_steps_on_a_gpu_do_not_wait_for_it() -> None:
    layout = layout_of("tanh-pair")
    engine = Autograd(layout, config("tanh-pair", DEVICE), vector(layout))
    good = minibatch(engine, layout)
    engine.step(good, RATES, 1.0, None)
    if DEVICE == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        engine.step(good, RATES, 1.0, None)
    finally:
        if DEVICE == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    assert engine.skipped() == 0
