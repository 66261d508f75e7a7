"""Engines by hand against autograd: the same gradients, the same parameters after many updates."""

from typing import Any

import numpy as np
import pytest
import torch

from surreal.algorithms import devices
from surreal.algorithms.offpolicy.config import SACConfig
from surreal.algorithms.offpolicy.method import Method
from surreal.algorithms.offpolicy.updates import autograd
from surreal.algorithms.offpolicy.updates.autograd import Autograd
from surreal.algorithms.offpolicy.updates.base import Rates
from surreal.algorithms.offpolicy.updates.losses import Losses
from tests.algorithms.offpolicy.cases import BOX, CASES, batch, engine

RATES = Rates(actor=1e-3, critic=2e-3, temperature=1e-2)


def tensors(case: str, seed: int = 0) -> dict[str, torch.Tensor]:
    return {name: torch.as_tensor(array) for name, array in vars(batch(case, seed=seed)).items()}


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_gradients_of_the_critics_by_hand_are_those_of_autograd(case: str, lanes: int) -> None:
    made, (_, shape, settings) = engine(case, lanes), CASES[case]
    acting = made.actor.target if made.actor and settings.target_actor else made.actor and made.actor.vector
    vector = torch.tensor(made.critics.vector, requires_grad=True)
    losses = Losses(shape, settings.double, settings.huber)
    alpha = torch.tensor(settings.temperature)
    loss, errors = losses.critic(
        torch.zeros(0) if acting is None else torch.tensor(acting),
        vector,
        torch.tensor(made.critics.target),
        alpha,
        tensors(case),
    )
    loss.backward()
    found, _ = made.critic_step(batch(case), rate=0.0)
    assert vector.grad is not None
    expected = vector.grad.numpy()
    limit = settings.max_grad_norm
    if limit is not None and (norm := np.linalg.norm(expected)) > limit:
        expected = expected * limit / norm
    assert np.abs(made.critics._grads[0] - expected).max() < 1e-6
    assert np.abs(found - errors.numpy()).max() < 1e-5


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("case", [case for case in CASES if CASES[case][1].actor])
def test_gradients_of_the_actor_by_hand_are_those_of_autograd(case: str, lanes: int) -> None:
    made, (_, shape, settings) = engine(case, lanes), CASES[case]
    assert made.actor is not None
    vector = torch.tensor(made.actor.vector, requires_grad=True)
    losses = Losses(shape, settings.double, settings.huber)
    alpha = torch.tensor(settings.temperature)
    loss, entropy = losses.actor(vector, torch.tensor(made.critics.vector), alpha, tensors(case))
    loss.backward()
    metrics = made.actor_step(batch(case), Rates(0.0, 0.0))
    assert vector.grad is not None
    expected = vector.grad.numpy()
    limit = settings.max_grad_norm
    if limit is not None and (norm := np.linalg.norm(expected)) > limit:
        expected = expected * limit / norm
    assert np.abs(made.actor._grads[0] - expected).max() < 1e-6
    assert metrics["actor_loss"] == pytest.approx(float(loss.detach()), abs=1e-5)
    assert metrics.get("entropy", 0.0) == pytest.approx(float(entropy), abs=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_both_engines_make_the_same_policy_in_twenty_updates(case: str) -> None:
    made, (_, shape, settings) = engine(case, lanes=2), CASES[case]
    vectors = (np.zeros(0, np.float32) if made.actor is None else made.actor.vector, made.critics.vector)
    other = Autograd(shape, settings, vectors, "cpu")
    other.load(made.arrays())
    for update in range(20):
        data = batch(case, seed=update)
        for each in (made, other):
            each.critic_step(data, RATES.critic)
            if shape.actor and update % 2:
                each.actor_step(data, RATES)
            each.move_targets(0.05)
    expected = other.arrays()
    for name, array in made.arrays().items():
        assert np.abs(array - expected[name]).max() < 2e-4, name
    assert np.abs(made.policy() - other.policy()).max() < 2e-4


@pytest.mark.parametrize("case", CASES)
def test_an_engine_that_was_saved_and_loaded_makes_the_same_next_update_bit_for_bit(case: str) -> None:
    made, again = engine(case), engine(case, seed=5)
    made.critic_step(batch(case), RATES.critic)
    made.move_targets(0.5)
    again.load({name: array.copy() for name, array in made.arrays().items()})
    for each in (made, again):
        each.critic_step(batch(case, seed=1), RATES.critic)
        if each.actor:
            each.actor_step(batch(case, seed=1), RATES)
        each.move_targets(0.1)
    for name, array in made.arrays().items():
        assert (array == again.arrays()[name]).all(), name


@pytest.mark.parametrize("case", CASES)
def test_a_gradient_that_is_not_finite_is_left_out_and_counted(case: str) -> None:
    made, data = engine(case), batch(case)
    data.rewards[3] = np.nan
    before = made.critics.vector.copy()
    with np.errstate(invalid="ignore", over="ignore"):
        made.critic_step(data, RATES.critic)
    assert made.skipped == 1
    assert (made.critics.vector == before).all()


def test_an_error_in_a_lane_is_raised_where_the_work_was_given() -> None:
    made, data = engine("td3", lanes=2), batch("td3")
    object.__setattr__(data, "actions", data.actions[:20])
    with pytest.raises(ValueError, match="must match exactly"):
        made.critic_step(data, 0.0)
    made.critic_step(batch("td3"), 0.0)


@pytest.mark.parametrize(
    ("gpu", "settings", "by_hand"),
    [
        (False, {}, True),
        (True, {}, True),
        (True, {"hidden": [512, 256]}, False),
        (True, {"hidden": [512, 256], "device": "cpu"}, True),
        (True, {"device": "cuda"}, False),
        (False, {"gradients": "autograd"}, False),
    ],
)
def test_auto_takes_a_gpu_for_wide_layers_only(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, settings: dict[str, Any], by_hand: bool
) -> None:
    monkeypatch.setattr(devices, "gpu_present", lambda: gpu)
    # without a GPU here, what asks for one computes on the CPU
    monkeypatch.setattr(autograd, "pick_device", lambda device: torch.device("cpu"))
    made = Method("sac", SACConfig(**settings)).engine(BOX, np.random.default_rng(0))
    assert (not isinstance(made, Autograd)) is by_hand
