"""The gradient by hand against autograd, and both against the definition of the loss."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from surreal.algorithms.impala.gradients.analytic import Analytic
from surreal.algorithms.impala.gradients.autograd import Autograd
from surreal.algorithms.impala.gradients.base import correct
from surreal.algorithms.impala.update import Updater
from surreal.algorithms.models.optimizers import Adam, RMSprop
from surreal.algorithms.networks import Shape
from surreal.algorithms.rollouts.state import State
from tests.algorithms.gpu.device import unroll
from tests.algorithms.gpu.networks import layout_of
from tests.algorithms.impala.samples import COPIES, STEPS, collected, impala, random_unroll
from tests.algorithms.ppo.samples import random_shape, random_vector

CONFIGS: list[dict[str, Any]] = [
    {},
    {"rho_bar": None, "c_bar": None, "policy_rho_bar": None},
    {"rho_bar": 3.7, "c_bar": 1.2, "policy_rho_bar": 2.0, "trace_lambda": 0.8, "entropy_coef": 0.0},
    {"correction": "none", "value_coef": 1.3},
    {"max_kl": 1e-3},
]


def engines(shape: Shape, **settings: Any) -> tuple[Analytic, Autograd]:
    config = impala(**settings)
    return Analytic(shape, config, random_vector(shape)), Autograd(shape, config, random_vector(shape))


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("changes", CONFIGS, ids=str)
def test_the_gradient_by_hand_is_autograds(discrete: bool, changes: dict[str, Any]) -> None:
    shape = random_shape(discrete)
    by_hand, automatic = engines(shape, max_grad_norm=None, **changes)
    for seed in range(3):
        data = random_unroll(shape, seed)
        mine, theirs = (engine.step(data, 0.0) for engine in (by_hand, automatic))
        gradient = automatic._network.vector.grad
        assert gradient is not None
        largest = max(1.0, float(gradient.abs().max()))
        np.testing.assert_allclose(by_hand._network.gradient, gradient.numpy(), rtol=2e-3, atol=2e-5 * largest)
        assert mine == pytest.approx(theirs, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(("discrete", "bonus"), [(True, 0.02), (False, 0.0)])
def test_choices_have_an_entropy_bonus_and_numbers_whose_entropy_has_no_bound_have_none(
    discrete: bool, bonus: float
) -> None:
    shape = random_shape(discrete)
    moved = []
    for settings in ({}, {"entropy_coef": bonus}, {"entropy_coef": 0.1}):
        both = engines(shape, **settings)
        for engine in both:
            engine.step(random_unroll(shape), 1e-2)
        moved.append([engine.parameters() for engine in both])
    np.testing.assert_array_equal(moved[0], moved[1])
    assert np.abs(np.subtract(moved[0], moved[2])).max() > 1e-6


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
@pytest.mark.parametrize("gradients", ["analytic", "autograd"])
@pytest.mark.parametrize(("kind", "epsilon"), [("small-cnn", 1e-5), ("tanh-pair-choices", 1e-3)])
def test_images_have_a_smaller_epsilon_than_numbers(kind: str, epsilon: float, gradients: str, optimizer: str) -> None:
    layout, moved = layout_of(kind), []
    for settings in ({}, {"optimizer_epsilon": epsilon}, {"optimizer_epsilon": 0.1}):
        updater = Updater(layout, impala(optimizer=optimizer, gradients=gradients, **settings), seed=1)
        updater.update(unroll(layout), 0.0)
        moved.append(updater.parameters())
    np.testing.assert_array_equal(moved[0], moved[1])
    assert np.abs(moved[0] - moved[2]).max() > 1e-5


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
@pytest.mark.parametrize("discrete", [False, True])
def test_both_engines_take_the_same_steps(optimizer: str, discrete: bool) -> None:
    shape = random_shape(discrete)
    both = engines(shape, optimizer=optimizer, max_grad_norm=0.3)
    for seed in range(10):
        for engine in both:
            engine.step(random_unroll(shape, seed), 1e-2)
    moved = both[0].parameters() - random_vector(shape)
    np.testing.assert_allclose(both[0].parameters(), both[1].parameters(), rtol=1e-2, atol=2e-4)
    assert np.abs(moved).max() > 0.01


def test_nothing_is_differentiated_through_targets_and_advantages() -> None:
    shape, config = random_shape(True), impala(max_grad_norm=None)
    engine, data = Autograd(shape, config, random_vector(shape)), random_unroll(random_shape(True))
    total, constants, _ = engine.loss(data)
    (found,) = torch.autograd.grad(total, engine._network.parts["value.bias"])
    values = engine._network.estimates(torch.from_numpy(data.rows()))[1][: data.transitions].numpy()
    assert float(found) == pytest.approx(2 * config.value_coef * float((values - constants.targets).mean()), rel=1e-4)


def test_the_value_moves_to_the_return_of_the_actors_or_of_the_policy_as_the_correction_says() -> None:
    shape = random_shape(True)
    data, values = random_unroll(shape), np.zeros((STEPS + 1) * COPIES + 99, np.float32)
    rows = len(data.rows())
    far = data.log_probs.reshape(-1) - 3.0  # the policy would have taken none of these actions
    corrected = correct(impala(), data, far, values[:rows])
    uncorrected = correct(impala(correction="none"), data, far, values[:rows])
    assert np.abs(corrected.targets).max() < 0.1 * np.abs(uncorrected.targets).max()
    assert corrected.metrics == uncorrected.metrics


def test_the_shares_of_clipped_ratios_are_those_above_the_bars() -> None:
    shape, none = random_shape(True), np.zeros((STEPS + 1) * COPIES, np.float32)
    data = random_unroll(shape)
    rows = np.concatenate([none, np.zeros(len(data.final), np.float32)])
    log_probs = data.log_probs.copy()
    log_probs[:3] += np.log(1.5)  # a quarter of the twelve steps
    log_probs[3:6] += np.log(3.0)
    metrics = correct(impala(rho_bar=2.0), data, log_probs.reshape(-1), rows).metrics
    assert metrics["clipped_rho"] == pytest.approx(0.25) and metrics["clipped_c"] == pytest.approx(0.5)
    assert correct(impala(rho_bar=None, c_bar=None), data, log_probs.reshape(-1), rows).metrics["clipped_rho"] == 0.0


def test_a_policy_that_left_those_that_acted_by_twice_the_bound_learns_half_and_its_values_all() -> None:
    shape, none = random_shape(True), np.zeros((STEPS + 1) * COPIES + 99, np.float32)
    data = random_unroll(shape)
    values = none[: len(data.rows())]
    near, far = data.log_probs.reshape(-1), data.log_probs.reshape(-1) - 0.7
    kl = correct(impala(), data, far, values).metrics["kl"]
    free = correct(impala(max_kl=None), data, far, values)
    bound = correct(impala(max_kl=kl / 2), data, far, values)
    np.testing.assert_allclose(bound.advantages, free.advantages / 2, rtol=1e-5)
    np.testing.assert_array_equal(bound.targets, free.targets)
    for same in (correct(impala(max_kl=kl * 1.01), data, far, values), free):
        np.testing.assert_array_equal(same.advantages, free.advantages)
    acted = correct(impala(max_kl=1e-6), data, near, values)
    np.testing.assert_array_equal(acted.advantages, correct(impala(max_kl=None), data, near, values).advantages)


@pytest.mark.parametrize("engine", [Analytic, Autograd])
def test_a_gradient_that_is_not_finite_changes_nothing(engine: Any) -> None:
    shape = random_shape(False)
    learner, data = engine(shape, impala(), random_vector(shape)), random_unroll(shape)
    before = learner.parameters()
    data.rewards[3, 1] = np.nan
    assert learner.step(data, 1e-2)["skipped"] == 1.0
    assert (learner.parameters() == before).all()
    assert int(learner.arrays()["adam_steps"][0]) == 0
    assert learner.step(random_unroll(shape), 1e-2)["skipped"] == 0.0


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
@pytest.mark.parametrize(("first", "second"), [(Analytic, Analytic), (Autograd, Autograd), (Analytic, Autograd)])
def test_an_engine_goes_on_from_what_another_saved(first: Any, second: Any, optimizer: str) -> None:
    shape, config = random_shape(False), impala(optimizer=optimizer)
    one, other = first(shape, config, random_vector(shape)), second(shape, config, random_vector(shape, seed=9))
    for seed in range(3):
        one.step(random_unroll(shape, seed), 1e-2)
    other.load({name: array.copy() for name, array in one.arrays().items()})
    for engine in (one, other):
        engine.step(random_unroll(shape, 7), 1e-2)
    exact = first is second
    np.testing.assert_allclose(
        one.parameters(), other.parameters(), rtol=0 if exact else 1e-3, atol=0 if exact else 1e-5
    )


@pytest.mark.parametrize("limit", [None, 0.5])
def test_optimizers_by_hand_are_torchs(limit: float | None) -> None:
    rng = np.random.default_rng(0)
    start = rng.standard_normal(50).astype(np.float32)
    pairs: list[tuple[Any, Any]] = []
    both: list[tuple[Any, Any]] = [
        (lambda v: RMSprop(v, limit, 0.01, 0.99), lambda t: torch.optim.RMSprop([t], lr=0.02, alpha=0.99, eps=0.01)),
        (lambda v: Adam(v, limit, 1e-3), lambda t: torch.optim.Adam([t], lr=0.02, eps=1e-3)),
    ]
    for mine, theirs in both:
        vector, tensor = start.copy(), torch.from_numpy(start.copy()).requires_grad_()
        pairs.append((vector, tensor))
        by_hand, automatic = mine(vector), theirs(tensor)
        for _ in range(20):
            gradient = rng.standard_normal(50).astype(np.float32)
            assert by_hand.step(gradient, 0.02)
            tensor.grad = torch.from_numpy(gradient.copy())
            if limit is not None:
                torch.nn.utils.clip_grad_norm_([tensor], limit)
            automatic.step()
    for vector, tensor in pairs:
        np.testing.assert_allclose(vector, tensor.detach().numpy(), atol=1e-5)


def test_the_discount_is_that_of_the_run_where_episodes_decide_and_the_configs_where_that_is_a_number() -> None:
    data = random_unroll(random_shape(False))
    rows = np.ones((STEPS + 1) * COPIES + len(data.final), dtype=np.float32)

    def targets(gamma: Any, run: float) -> Any:
        return correct(impala(gamma=gamma), replace(data, gamma=run), data.log_probs.reshape(-1), rows).targets

    np.testing.assert_array_equal(targets("auto", 0.98), targets(0.98, 0.995))
    assert np.abs(targets("auto", 0.98) - targets("auto", 0.995)).max() > 1e-3


def test_the_horizon_does_not_begin_far_for_targets_of_a_few_steps_hide_what_values_do_not_know() -> None:
    layout, _, _ = collected(impala(), {"id": "Pendulum-v1"})
    run = State(layout.spaces, impala(), Updater(layout, impala(), 1))
    assert run.discount.follows and not run.discount.endless and run.discount.gamma == 0.995
