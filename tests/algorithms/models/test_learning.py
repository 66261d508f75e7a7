"""Networks on a device: compiled ones compute the same, broken steps are left out, a GPU is missed aloud."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from surreal.algorithms import devices
from surreal.algorithms.models.learning import Bound
from surreal.algorithms.ppo.batch import Minibatch
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients import make_gradient
from surreal.algorithms.ppo.gradients.analytic import Analytic
from surreal.algorithms.ppo.gradients.autograd import Autograd
from tests.algorithms.models.samples import NUMBERS, PLANES, model, observed, vector
from tests.algorithms.ppo.samples import RATES

CPU = torch.device("cpu")


def minibatch(rows: object, n: int) -> Minibatch:
    """Transitions of three choices with these observations."""
    rng = np.random.default_rng(0)
    names = ("log_probs", "advantages", "returns", "values")
    numbers: dict[str, Any] = {name: torch.from_numpy(rng.standard_normal(n).astype(np.float32)) for name in names}
    return Minibatch(observations=rows, actions=torch.from_numpy(rng.integers(0, 3, n)), **numbers)


def test_parameters_and_gradients_are_views_of_two_flat_vectors() -> None:
    layout = model(NUMBERS, activation="relu")
    bound = Bound(layout, vector(layout), CPU)
    out, values = bound.outputs(torch.from_numpy(observed(layout, 4)))
    (out.sum() + values.sum()).backward()
    gradient = bound.vector.grad
    assert gradient is not None
    joined = torch.cat([part.grad.reshape(-1) for part in bound.parts.values() if part.grad is not None])
    assert (gradient == joined).all() and gradient.any()
    bound.load(np.zeros(layout.size, np.float32))
    assert not any(part.any() for part in bound.parts.values())


@pytest.mark.parametrize("adam_steps", [0, 2])
def test_a_gradient_that_is_not_finite_changes_nothing_and_is_counted(adam_steps: int) -> None:
    layout = model(PLANES)
    rows = torch.from_numpy(observed(layout, 8))
    gradient = Autograd(layout, PPOConfig(device="cpu"), vector(layout))
    good = minibatch(rows, 8)
    for _ in range(adam_steps):
        gradient.step(good, RATES, 1.0, None)
    before = {name: array.copy() for name, array in gradient.arrays().items()}
    gradient.step(good._replace(advantages=torch.full((8,), float("nan"))), RATES, 1.0, None)
    after = gradient.arrays()
    assert all((before[name] == after[name]).all() for name in before)
    assert (gradient.skipped(), gradient.skipped()) == (1, 0)
    gradient.step(good, RATES, 1.0, None)
    assert (gradient.parameters() != before["parameters"]).any() and gradient.skipped() == 0


def test_autocast_changes_the_outputs_by_bfloat16s_error_and_no_more() -> None:
    layout = model(PLANES)
    rows, values = torch.from_numpy(observed(layout, 16)), vector(layout)
    exact, coarse = (Bound(layout, values, CPU, kind).estimates(rows)[0] for kind in ("float32", "bfloat16"))
    assert coarse.dtype == torch.float32 and (exact != coarse).any()
    assert (exact - coarse).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.slow
def test_a_compiled_network_computes_the_same() -> None:
    layout = model(PLANES)
    rows, values = torch.from_numpy(observed(layout, 16)), vector(layout)
    plain, compiled = (Bound(layout, values, CPU, "float32", how) for how in (False, True))
    for bound in (plain, compiled):
        out, value = bound.outputs(rows)
        (out.square().mean() + value.mean()).backward()
    assert plain.vector.grad is not None and compiled.vector.grad is not None
    np.testing.assert_allclose(compiled.vector.grad, plain.vector.grad, atol=1e-5)


def test_small_tanh_networks_stay_on_the_cpu_by_hand_though_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpu_present", lambda: True)
    for hidden, kind in (((64, 64), Analytic), ((300, 64), Autograd)):
        layout = model(NUMBERS, hidden=hidden)
        config = PPOConfig(hidden=list(hidden), numba=False)
        assert type(make_gradient(layout, config, vector(layout))) is kind


def test_a_gpu_that_this_torch_cannot_use_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(devices, "DRIVER", tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    devices.gpu_present.cache_clear()
    wide = model(NUMBERS, hidden=(300, 64))
    with caplog.at_level(logging.WARNING):
        # by hand, which never asks torch for a device
        assert type(make_gradient(wide, PPOConfig(hidden=[300, 64], numba=False), vector(wide))) is Analytic
        assert devices.pick_device("auto").type == "cpu"
    devices.gpu_present.cache_clear()
    assert caplog.text.count("a GPU is here") == 1
    assert "a GPU is here, but torch" in caplog.text and "Use an image with CUDA." in caplog.text
