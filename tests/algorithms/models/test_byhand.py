"""Small convolutional networks by hand: autograd's outputs and gradients, in numpy and in compiled loops."""

import hashlib
import sys
from logging import WARNING
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from surreal.algorithms import devices
from surreal.algorithms.models.byhand import chosen, loops, make_network, vectors
from surreal.algorithms.models.byhand.convolved import CHUNK, convolved
from surreal.algorithms.models.learning import Bound, tensors_of
from surreal.algorithms.networks import Layout
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients import make_gradient, passes
from surreal.algorithms.ppo.gradients.analytic import Analytic
from surreal.algorithms.ppo.gradients.autograd import Autograd
from surreal.algorithms.ppo.gradients.base import Stats
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal
from tests.algorithms.models.samples import NUMBERS, PIXELS, PLANES, ROBOT, model, observed, vector
from tests.algorithms.ppo.samples import RATES, as_tensors, random_minibatch

CPU = torch.device("cpu")
COLOURS = spaces.Box(0, 255, (7, 12, 3), np.uint8)
FIRST = spaces.Box(0, 255, (2, 6, 9), np.uint8)
GREY = spaces.Box(0, 255, (8, 5), np.uint8)
REAL = spaces.Box(-1, 1, (5, 6, 2), np.float32)
ONE = spaces.Dict({"board": PLANES})
CASES: list[tuple[Any, dict[str, Any]]] = [
    (PLANES, {}),
    (PLANES, {"policy": [6], "value": [7, 5], "activation": "relu"}),
    (ONE, {"trunk": [9, 4]}),
    (COLOURS, {"encoder_width": 20}),
    (FIRST, {"trunk": [5], "value": [6], "policy": []}),
    (GREY, {"init": "default", "activation": "silu"}),
    (REAL, {"action": spaces.Box(-1, 1, (3,))}),
]


def autograds(layout: Layout, values: Array, rows: Any, d_out: Array, d_values: Array) -> tuple[Array, Array, Array]:
    """Outputs and values by torch, and the gradient of their products with `d_out` and `d_values`."""
    bound = Bound(layout, values, CPU)
    out, value = bound.outputs(tensors_of(rows, CPU))
    ((out * torch.from_numpy(d_out)).sum() + (value * torch.from_numpy(d_values)).sum()).backward()
    assert bound.vector.grad is not None
    return out.detach().numpy(), value.detach().numpy(), bound.vector.grad.numpy()


@pytest.mark.parametrize(("space", "network"), CASES)
@pytest.mark.parametrize("compiled", [False, True])
def test_outputs_and_gradients_are_autograds(compiled: bool, space: Any, network: dict[str, Any]) -> None:
    layout, rng = model(space, **network), np.random.default_rng(4)
    values, by_hand = vector(layout), make_network(layout, vector(layout), compiled)
    for n in (13, 2, 40):
        rows = observed(layout, n, seed=n)
        d_out = rng.standard_normal((n, layout.outputs)).astype(np.float32)
        d_values = rng.standard_normal(n).astype(np.float32)
        out, value = by_hand.outputs(rows)
        # values of other rows come in between, as for IMPALA's targets
        others = observed(layout, CHUNK + 3, seed=n + 1)
        found = by_hand.estimates(others)
        by_hand.backward(d_out.copy(), d_values.copy())
        expected = autograds(layout, values, rows, d_out, d_values)
        np.testing.assert_allclose(out, expected[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(value, expected[1], rtol=1e-4, atol=1e-5)
        largest = float(np.abs(expected[2]).max())
        np.testing.assert_allclose(by_hand.gradient, expected[2], rtol=1e-4, atol=1e-5 * largest)
        for mine, theirs in zip(found, Bound(layout, values, CPU).estimates(tensors_of(others, CPU)), strict=True):
            np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("numba", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {"entropy_coef": 0.02},
        {"value_clip": 0.3, "max_grad_norm": 0.1},
        {"objective": "adaptive-kl", "target_kl": 0.01},
    ],
    ids=str,
)
def test_ppo_takes_autograds_steps(numba: bool, changes: dict[str, Any]) -> None:
    layout, stats = model(PLANES), (Stats(), Stats())
    config = PPOConfig(device="cpu", numba=numba, **changes)
    engines: list[Any] = [kind(layout, config, vector(layout)) for kind in (Analytic, Autograd)]
    for seed in range(5):
        minibatch = transitions(layout, 31, seed, changes.get("objective") == "adaptive-kl")
        for engine, batch, said in zip(engines, (minibatch, as_tensors(minibatch)), stats, strict=True):
            engine.step(batch, RATES, 0.7, said)
    np.testing.assert_allclose(engines[0].parameters(), engines[1].parameters(), rtol=1e-3, atol=2e-5)
    assert stats[0].means() == pytest.approx(stats[1].means(), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("numba", [False, True])
def test_the_same_steps_give_the_same_bits_and_a_checkpoint_goes_on_with_them(numba: bool) -> None:
    layout, config, results = model(PLANES), PPOConfig(numba=numba), []
    for _ in range(2):
        first, second = (Analytic(layout, config, vector(layout, seed)) for seed in (0, 1))
        for seed in range(3):
            first.step(transitions(layout, 20, seed), RATES, 1.0, None)
        second.load({name: array.copy() for name, array in first.arrays().items()})
        for engine in (first, second):
            engine.step(transitions(layout, 20, 5), RATES, 1.0, None)
            results.append(engine.parameters().tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize("numba", [False, True])
def test_an_image_that_is_not_finite_takes_no_step(numba: bool) -> None:
    layout = model(REAL)
    engine = Analytic(layout, PPOConfig(numba=numba), vector(layout))
    minibatch = transitions(layout, 9, 0)
    minibatch.observations[3, 1, 2, 0] = np.nan
    engine.step(minibatch, RATES, 1.0, None)
    assert engine.skipped() == 1
    assert (engine.parameters() == vector(layout)).all()


def transitions(layout: Layout, n: int, seed: int, reference: bool = False) -> Any:
    minibatch = random_minibatch(layout, n, seed, reference)
    return minibatch._replace(observations=observed(layout, n, seed))


@pytest.mark.parametrize(
    ("space", "network"),
    [
        (PLANES, {"memory": {"kind": "gru", "size": 4}}),
        (PLANES, {"trunk": [4], "layer_norm": True}),
        (PLANES, {"trunk": [4], "activation": "silu"}),
        (PLANES, {"shared": False}),
        (PLANES, {"encoder": "impala-resnet"}),
        (PLANES, {"std": "state", "action": spaces.Box(-1, 1, (2,))}),
        (PIXELS, {}),
        (ROBOT, {"encoder": "small-cnn"}),
        (NUMBERS, {"activation": "relu"}),
    ],
)
def test_other_networks_are_left_to_autograd(space: Any, network: dict[str, Any]) -> None:
    layout = model(space, **network)
    assert convolved(layout) is None and not chosen(layout, PPOConfig(device="cpu"))
    with pytest.raises(Fatal, match="gradients: 'analytic' has no gradient of this network"):
        chosen(layout, PPOConfig().model_copy(update={"gradients": "analytic"}))


@pytest.mark.parametrize(
    ("gpu", "settings", "kind"),
    [
        (False, {}, Analytic),
        (True, {}, Autograd),
        (True, {"device": "cpu"}, Analytic),
        (False, {"gradients": "autograd"}, Autograd),
        (False, {"precision": "bfloat16"}, Autograd),
        (True, {"gradients": "analytic"}, Analytic),
    ],
)
def test_auto_takes_it_where_there_is_no_gpu_and_nothing_that_only_torch_does(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, settings: dict[str, Any], kind: type
) -> None:
    monkeypatch.setattr(devices, "gpu_present", lambda: gpu)
    layout = model(PLANES)
    assert type(make_gradient(layout, PPOConfig(numba=False, **settings), vector(layout))) is kind


def test_where_numba_fails_numpy_computes_and_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "surreal.algorithms.models.byhand.loops", None)
    monkeypatch.delattr("surreal.algorithms.models.byhand.loops", raising=False)
    layout = model(PLANES)
    with caplog.at_level(WARNING):
        found = [make_network(layout, vector(layout), how).outputs(observed(layout, 5))[0] for how in (True, False)]
    assert (found[0] == found[1]).all()
    (line,) = [record.getMessage() for record in caplog.records]
    assert "so numpy computes the gradients" in line


def test_files_of_loops_change_with_the_code_that_they_have_in_common() -> None:
    content = Path(vectors.__file__).read_bytes()
    for digest in (loops.VECTORS_DIGEST, passes.VECTORS_DIGEST):
        assert len(digest) == 12 and hashlib.sha256(content).hexdigest().startswith(digest)
