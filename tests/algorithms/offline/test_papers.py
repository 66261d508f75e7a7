"""Losses and gradients of every algorithm against slow transcriptions of the papers' equations."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from speed.offline import by_torch
from surreal.algorithms.offline.config import AWACConfig, CRRConfig, IQLConfig, TD3BCConfig
from surreal.algorithms.offline.updates.byhand import Drawn
from surreal.algorithms.offline.updates.conservative import DrawnTorch
from surreal.algorithms.offline.updates.conservative_byhand import ConservativeByHand
from surreal.algorithms.offline.updates.objectives import Critics, conservative_push
from surreal.algorithms.offline.updates.weighted_byhand import ImplicitByHand, WeightedByHand, value_layout
from surreal.algorithms.offpolicy.updates.base import Rates, Settings
from surreal.algorithms.offpolicy.updates.losses import network
from tests.algorithms.offline import papers
from tests.algorithms.offline.cases import CASES, batch, engine, method

BOTH = ("cql", "iql", "awac", "crr", "crr-binary")
"""Cases whose gradients are by hand on a CPU, and by torch on a GPU."""
STILL = Rates(0.0, 0.0)
"""A step of size 0 returns the loss and changes nothing."""


def slope(loss: Callable[[Any], float], at: Any, index: int, by: float = 1e-5) -> float:
    """Return the central difference of a loss of a vector, at one of its entries."""
    up, down = np.array(at, np.float64), np.array(at, np.float64)
    up[index] += by
    down[index] -= by
    return (loss(up) - loss(down)) / (2 * by)


@pytest.mark.parametrize("case", ["bc", "bc-choices"])
def test_cloning_has_the_loss_and_the_gradient_of_its_equation(case: str) -> None:
    made, b = engine(case), batch(case)
    layout = method(case).shape().actor
    assert layout is not None
    equation = papers.cloning_box if case == "bc" else papers.cloning_choices
    before = made.policy()
    assert made.actor_step(b, STILL)["cloning_loss"] == pytest.approx(equation(layout, before, b), rel=1e-5)
    _same_direction(made, b, lambda vector: equation(layout, vector, b), before)


def test_td3bc_has_the_loss_of_its_equation_and_the_same_gradient_by_hand_and_by_autograd() -> None:
    config, b = CASES["td3bc"][1], batch("td3bc")
    assert isinstance(config, TD3BCConfig) and config.alpha is not None
    shape = method("td3bc").shape()
    assert shape.actor is not None
    byhand = engine("td3bc")
    assert isinstance(byhand, Drawn)
    vectors = byhand.policy(), byhand.arrays()["critics"].copy()
    torched = DrawnTorch(shape, Settings(target_actor=True), vectors, "cpu", config.alpha)
    expected = papers.td3bc_actor(shape.actor, shape.critic, *vectors, b, config.alpha)
    assert byhand.actor_step(b, STILL)["actor_loss"] == pytest.approx(expected, rel=1e-4)
    assert torched.actor_step(b, STILL)["actor_loss"] == pytest.approx(expected, rel=1e-4)
    for _ in range(3):
        byhand.actor_step(b, Rates(1e-3, 0.0))
        torched.actor_step(b, Rates(1e-3, 0.0))
    assert np.abs(byhand.policy() - vectors[0]).max() > 1e-3
    assert np.abs(byhand.policy() - torched.policy()).max() < 2e-5


def test_cql_for_choices_adds_its_push_to_the_gradient_of_dqn() -> None:
    made, b = engine("cql-choices"), batch("cql-choices")
    plain = method("cql-choices")
    shape, before = plain.shape(), made.policy()

    def loss(vector: Any) -> float:
        total = 0.0
        for row in range(len(b.rewards)):
            out = papers.forward(shape.critic, vector, b.observations[row])
            after = papers.forward(shape.critic, before, b.next_observations[row])
            error = out[b.actions[row]] - float(b.rewards[row] + b.discounts[row] * after.max())
            total += 0.5 * error**2 if abs(error) <= 1 else abs(error) - 0.5
            total += 5.0 * (np.log(np.exp(out).sum()) - out[b.actions[row]])
        return total / len(b.rewards)

    made.critic_step(b, 1e-3)
    _moved_along(made.policy() - before, loss, before)


def test_the_push_of_cql_is_that_of_its_appendix() -> None:
    made, b = engine("cql"), batch("cql", size=6)
    shape = method("cql").shape()
    assert shape.actor is not None
    actor, critics = made.policy(), made.arrays()["critics"]
    rows = {name: torch.as_tensor(getattr(b, name)) for name in ("observations", "actions", "draws")}
    out = [
        network(shape.actor, torch.as_tensor(actor), torch.as_tensor(seen))
        for seen in (b.observations, b.next_observations)
    ]
    found = conservative_push(Critics(shape.critic), torch.as_tensor(critics), (out[0], out[1]), rows)
    expected = papers.push(shape.actor, shape.critic, actor, critics, b)
    assert float(found) == pytest.approx(expected, rel=1e-4)
    assert made.critic_step(b, 0.0)[1]["push"] == pytest.approx(expected, rel=1e-4)


def test_a_push_lowers_values_of_actions_that_were_not_recorded() -> None:
    made, b = engine("cql"), batch("cql", size=64)
    found = [made.critic_step(b, 3e-3)[1]["push"] for _ in range(60)]
    assert found[-1] < found[0] - 0.2


def test_iql_learns_the_expectile_and_weighs_by_it() -> None:
    config, byhand, b = CASES["iql"][1], engine("iql"), batch("iql")
    assert isinstance(byhand, ImplicitByHand) and isinstance(config, IQLConfig)
    made = by_torch(method("iql"), byhand)
    shape = method("iql").shape()
    assert shape.actor is not None
    arrays, layout = made.arrays(), value_layout(shape)
    recorded = [
        min(papers.critic_values(shape.critic, arrays["critics.target"], s, a))
        for s, a in zip(b.observations, b.actions, strict=True)
    ]
    values = [float(papers.forward(layout, arrays["values"], s)[0]) for s in b.observations]
    advantages = [q - v for q, v in zip(recorded, values, strict=True)]
    following = [float(papers.forward(layout, arrays["values"], s)[0]) for s in b.next_observations]
    target = [r + d * v for r, d, v in zip(b.rewards, b.discounts, following, strict=True)]
    errors = [
        [q - y for q in papers.critic_values(shape.critic, arrays["critics"], s, a)]
        for s, a, y in zip(b.observations, b.actions, target, strict=True)
    ]
    weights = [min(100.0, float(np.exp(config.temperature * each))) for each in advantages]
    cloned = papers.weighted_cloning(shape.actor, arrays["actor"], b, weights, config.deviation)
    for one in (made, byhand):
        sizes, metrics = one.critic_step(b, 0.0)
        assert sizes == pytest.approx(np.mean(np.abs(errors), axis=1), rel=1e-4)
        assert metrics["expectile_loss"] == pytest.approx(papers.expectile(advantages, config.expectile), rel=1e-4)
        assert one.actor_step(b, STILL)["actor_loss"] == pytest.approx(cloned, rel=1e-4)


@pytest.mark.parametrize("case", ["awac", "crr", "crr-binary"])
def test_awac_and_crr_weigh_by_the_advantage_over_the_policys_own_actions(case: str) -> None:
    config, made, b = CASES[case][1], engine(case), batch(case)
    assert isinstance(made, WeightedByHand) and isinstance(config, AWACConfig | CRRConfig)
    shape = method(case).shape()
    assert shape.actor is not None
    arrays, weights = made.arrays(), []
    for row, (s, a) in enumerate(zip(b.observations, b.actions, strict=True)):
        mean = np.tanh(papers.forward(shape.actor, arrays["actor"], s))
        own = [np.clip(mean + config.deviation * noise, -1, 1) for noise in b.noise[row]]
        base = np.mean([min(papers.critic_values(shape.critic, arrays["critics"], s, each)) for each in own])
        advantage = min(papers.critic_values(shape.critic, arrays["critics"], s, a)) - base
        if isinstance(config, AWACConfig):
            weight = np.exp(advantage / config.multiplier)
        else:
            weight = float(advantage > 0) if config.binary else np.exp(advantage / config.beta)
        weights.append(min(config.largest_weight, float(weight)))
    expected = papers.weighted_cloning(shape.actor, arrays["actor"], b, weights, config.deviation)
    for one in (made, by_torch(method(case), made)):
        metrics = one.actor_step(b, STILL)
        assert metrics["actor_loss"] == pytest.approx(expected, rel=1e-4)
        assert metrics["weight"] == pytest.approx(np.mean(weights), rel=1e-4)


@pytest.mark.parametrize("case", BOTH)
def test_gradients_by_hand_make_the_updates_that_autograd_makes(case: str) -> None:
    byhand = engine(case)
    assert isinstance(byhand, ConservativeByHand | WeightedByHand)
    torched = by_torch(method(case), byhand)
    before = {name: np.array(array) for name, array in byhand.arrays().items()}
    for number in range(4):
        b = batch(case, seed=number)
        for made in (byhand, torched):
            made.critic_step(b, 1e-3)
            made.actor_step(b, Rates(1e-3, 0.0, 1e-3))
            made.move_targets(0.2)
    found = torched.arrays()
    for name, array in byhand.arrays().items():
        assert np.abs(array - before[name]).max() > 1e-4, name
        assert np.allclose(found[name], array, rtol=1e-3, atol=2e-5), name
    again = engine(case, seed=3)
    again.load(found)
    assert np.array_equal(again.policy(), torched.policy())


@pytest.mark.parametrize("case", CASES)
def test_what_a_checkpoint_holds_is_enough_to_go_on(case: str) -> None:
    one, rates = engine(case), Rates(1e-3, 1e-3, 1e-3)
    acts = method(case).shape().actor is not None

    def updates(made: Any, begin: int) -> None:
        for seed in range(begin, begin + 3):
            made.critic_step(batch(case, seed=seed), 1e-3)
            if acts:
                made.actor_step(batch(case, seed=seed), rates)
            made.move_targets(0.1)

    updates(one, 0)
    other = engine(case, seed=5)
    other.load({name: np.array(array) for name, array in one.arrays().items()})
    updates(one, 3)
    updates(other, 3)
    assert np.abs(one.policy() - other.policy()).max() < 1e-12


@pytest.mark.parametrize("case", ["bc", "bc-choices", "td3bc", "cql-choices", *BOTH])
def test_threads_that_share_a_batch_make_the_updates_of_one(case: str) -> None:
    plain = method(case)
    shared = replace(plain, config=plain.config.model_copy(update={"threads": 3}))
    found = [made.engine(np.random.default_rng(0)) for made in (plain, shared)]
    for number in range(3):
        for one in found:
            one.critic_step(batch(case, seed=number), 1e-3)
            if plain.shape().actor is not None:
                one.actor_step(batch(case, seed=number), Rates(1e-3, 0.0))
            one.move_targets(0.1)
    for name, array in found[0].arrays().items():
        assert np.allclose(found[1].arrays()[name], array, rtol=1e-4, atol=2e-6), name


def _same_direction(made: Any, b: Any, loss: Callable[[Any], float], before: Any) -> None:
    made.actor_step(b, Rates(1e-4, 0.0))
    _moved_along(made.policy() - before, loss, before)


def _moved_along(moved: Any, loss: Callable[[Any], float], before: Any) -> None:
    """Adam's first steps go against the sign of the gradient wherever that is not tiny."""
    rng, seen = np.random.default_rng(2), 0
    for index in rng.choice(len(before), 40, replace=False).tolist():
        found = slope(loss, before, index)
        if abs(found) > 1e-3:
            seen += 1
            assert np.sign(moved[index]) == -np.sign(found), (index, found, moved[index])
    assert seen > 5
