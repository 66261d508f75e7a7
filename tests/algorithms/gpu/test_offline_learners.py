"""Learners on datasets on a GPU: TD3+BC, CQL, IQL, AWAC and CRR make the updates of torch on the CPU."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.offline import method as methods
from surreal.algorithms.offpolicy.updates.autograd import Trained
from surreal.algorithms.offpolicy.updates.base import Engine
from tests.algorithms.gpu.device import DEVICE, NEEDS_GPU, assert_near, same_state
from tests.algorithms.offline.cases import batch, method
from tests.algorithms.offpolicy.test_gradients import RATES

pytestmark = NEEDS_GPU
CASES = pytest.mark.parametrize("case", ["td3bc", "cql", "cql-choices", "iql", "awac", "crr", "crr-binary"])


@pytest.fixture(autouse=True)
def torched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU takes the engines of a GPU too."""
    monkeypatch.setattr(methods, "wants_gpu", lambda device: True)


def on(case: str, device: Any) -> Engine:
    """The engine of a case on a device, with random parameters."""
    made = method(case)
    config = made.config.model_copy(update={"device": device})
    return replace(made, config=config).engine(np.random.default_rng(0))


def learn(engine: Engine, case: str, updates: range) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for update in updates:
        metrics |= engine.critic_step(batch(case, seed=update), RATES.critic)[1]
        if method(case).shape().actor is not None:
            metrics |= engine.actor_step(batch(case, seed=update), RATES)
        engine.move_targets(0.05)
    return metrics


def devices(engine: Any) -> set[str]:
    """The types of the devices that hold the parameters of an engine, and those of its networks that follow slowly."""
    trained = [each for each in vars(engine).values() if isinstance(each, Trained)]
    assert len(trained) >= 2, "an actor and critics"
    vectors = [vector for each in trained for vector in (each.vector, each.target) if vector is not None]
    return {vector.device.type for vector in vectors}


@CASES
def test_updates_on_a_gpu_are_those_of_the_cpu(case: str) -> None:
    cpu, gpu = on(case, "cpu"), on(case, DEVICE)
    told = [learn(each, case, range(10)) for each in (cpu, gpu)]
    assert devices(gpu) == {DEVICE} and devices(cpu) == {"cpu"}
    assert told[1] == pytest.approx(told[0], rel=5e-3, abs=5e-3)
    assert_near(gpu, cpu)


@CASES
def test_what_a_gpu_saved_goes_on_on_a_cpu_and_back(case: str) -> None:
    first, cpu, again = on(case, DEVICE), on(case, "cpu"), on(case, DEVICE)
    learn(first, case, range(3))
    saved = first.arrays()
    for each in (cpu, again):
        each.load(saved)
        learn(each, case, range(3, 5))
    learn(first, case, range(3, 5))
    for name, array in first.arrays().items():
        for each in (cpu, again):
            np.testing.assert_allclose(each.arrays()[name], array, rtol=2e-2, atol=2e-4, err_msg=name)
    again.load(cpu.arrays())
    assert np.abs(again.policy() - cpu.policy()).max() == 0


@CASES
def test_a_gradient_that_is_not_finite_is_left_out_on_a_gpu(case: str) -> None:
    made, data = on(case, DEVICE), batch(case)
    data.rewards[3] = np.nan
    before = {name: array for name, array in made.arrays().items() if name.startswith("critics")}
    made.critic_step(data, RATES.critic)
    assert made.skipped == 1
    assert same_state({name: array for name, array in made.arrays().items() if name in before}, before)
