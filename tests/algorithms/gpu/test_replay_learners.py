"""Learners on replay on a GPU: DDPG, TD3, SAC and DQN of every shape, and R2D2, make the updates of the CPU."""

from typing import Any

import numpy as np
import pytest

from surreal.algorithms.offpolicy.updates.autograd import Autograd
from surreal.algorithms.r2d2.update import Updater
from surreal.algorithms.types import Array
from tests.algorithms.gpu.device import DEVICE, NEEDS_GPU, apart, assert_near, same_state
from tests.algorithms.offpolicy.cases import CASES, batch, engine
from tests.algorithms.offpolicy.test_gradients import RATES
from tests.algorithms.r2d2.samples import collected, config, filled

pytestmark = NEEDS_GPU
EACH = pytest.mark.parametrize("case", CASES)
MEMORIES = pytest.mark.parametrize("memory", [{"kind": "lstm", "size": 6}, {"kind": "gru", "size": 6}, None], ids=str)


def on(case: str, device: Any) -> Autograd:
    """The engine of a case on a device, with the random parameters of the one by hand."""
    made, (_, shape, settings) = engine(case), CASES[case]
    vectors = (np.zeros(0, np.float32) if made.actor is None else made.actor.vector, made.critics.vector)
    found = Autograd(shape, settings, vectors, device)
    found.load(made.arrays())
    return found


def learn(engine: Autograd, case: str, updates: range) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for update in updates:
        errors, told = engine.critic_step(batch(case, seed=update), RATES.critic)
        metrics = {**metrics, **told, "error": float(errors.mean())}
        if CASES[case][1].actor and update % 2:
            metrics |= engine.actor_step(batch(case, seed=update), RATES)
        engine.move_targets(0.05)
    return metrics


@EACH
def test_twenty_updates_on_a_gpu_are_those_of_the_cpu(case: str) -> None:
    cpu, gpu = on(case, "cpu"), on(case, DEVICE)
    told = [learn(each, case, range(20)) for each in (cpu, gpu)]
    assert told[1] == pytest.approx(told[0], rel=2e-3, abs=2e-3)
    assert_near(gpu, cpu)
    assert gpu._critics.vector.device.type == DEVICE


@EACH
def test_what_a_gpu_saved_goes_on_on_a_cpu_and_back(case: str) -> None:
    first, cpu, again = on(case, DEVICE), on(case, "cpu"), on(case, DEVICE)
    learn(first, case, range(4))
    saved = first.arrays()
    for each in (cpu, again):
        each.load(saved)
        close(each.arrays(), saved, 1e-6)
    for each in (first, cpu, again):
        learn(each, case, range(4, 6))
    close(again.arrays(), first.arrays(), 1e-4)
    close(cpu.arrays(), first.arrays(), 2e-4)
    again.load(cpu.arrays())
    close(again.arrays(), cpu.arrays(), 1e-6)


def close(found: dict[str, Array], expected: dict[str, Array], share: float) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert apart(found[name], array) < share or np.abs(found[name] - array).max() < share, name


@EACH
def test_a_gradient_that_is_not_finite_is_left_out_on_a_gpu(case: str) -> None:
    made, data = on(case, DEVICE), batch(case)
    data.rewards[3] = np.nan
    before = made.arrays()
    made.critic_step(data, RATES.critic)
    assert made.skipped == 1
    assert same_state(made.arrays(), before)


def updater(memory: dict[str, Any] | None, device: Any) -> tuple[Updater, dict[str, Array]]:
    """R2D2's learner on a device, and a batch."""
    settings = config(network={"memory": memory, "trunk": [7]}, device=device, learning_rate=1e-3, target_every=3)
    layout, vector, arrays = collected(settings, {"id": "CartPole-v1"})
    _, found = filled(settings, arrays).batch(16)
    return Updater(layout, settings, vector), found


@MEMORIES
def test_updates_of_r2d2_on_a_gpu_are_those_of_the_cpu(memory: dict[str, Any] | None) -> None:
    (cpu, data), (gpu, _) = updater(memory, "cpu"), updater(memory, DEVICE)
    start, weights = cpu.parameters(), np.linspace(0.3, 1, 16, dtype=np.float32)
    for _ in range(5):
        (found, told), (expected, said) = gpu.learn(data, weights), cpu.learn(data, weights)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
        assert told == pytest.approx(said, rel=5e-3, abs=1e-4)
    assert apart(gpu.parameters() - start, cpu.parameters() - start) < 0.03
    assert gpu._online.vector.device.type == DEVICE


@MEMORIES
def test_what_r2d2_saved_on_a_gpu_goes_on_on_a_cpu_and_back(memory: dict[str, Any] | None) -> None:
    (gpu, data), (cpu, _), (again, _) = (updater(memory, device) for device in (DEVICE, "cpu", DEVICE))
    weights = np.ones(16, np.float32)
    for _ in range(2):
        gpu.learn(data, weights)
    saved = gpu.arrays()
    for each in (cpu, again):
        each.load(saved)
        assert same_state(each.arrays(), saved)
    for each in (gpu, cpu, again):
        each.learn(data, weights)
    moved = [each.parameters() - saved["online"] for each in (gpu, cpu, again)]
    assert apart(moved[1], moved[0]) < 0.02 and apart(moved[2], moved[0]) < 1e-3
    again.load(cpu.arrays())
    assert same_state(again.arrays(), cpu.arrays())


def test_r2d2_leaves_out_a_gradient_that_is_not_finite_on_a_gpu() -> None:
    gpu, data = updater({"kind": "lstm", "size": 6}, DEVICE)
    before = gpu.parameters()
    gpu.learn(data, np.full(16, np.nan, np.float32))
    assert gpu.skipped == 1 and (gpu.parameters() == before).all()
    gpu.learn(data, np.ones(16, np.float32))
    assert gpu.skipped == 1 and (gpu.parameters() != before).any()
