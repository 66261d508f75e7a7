"""An update of R2D2: the learner's values are the actor's, burn-in learns nothing, states are stored or zero."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from surreal.algorithms.r2d2.update import Updater
from tests.algorithms.r2d2.samples import BURN_IN, CUT, LENGTH, collected, config, filled

ENVS = pytest.mark.parametrize("env", [{"id": "CartPole-v1"}, CUT], ids=["terminated", "truncated"])


def values_of(updater: Updater, batch: dict[str, Any]) -> Any:
    return updater._unrolled(updater._online, updater._sequences(batch), learning=False).numpy()


@ENVS
@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("dueling", [True, False])
def test_the_learner_finds_the_values_that_the_actor_acted_by(env: dict[str, Any], kind: str, dueling: bool) -> None:
    settings = config(network={"memory": {"kind": kind, "size": 6}, "trunk": [7]}, dueling=dueling)
    layout, vector, arrays = collected(settings, env)
    _, batch = filled(settings, arrays).batch(50)
    values = values_of(Updater(layout, settings, vector), batch)
    # what acting knew of the choices that it took travels in place of log-probabilities
    taken = np.take_along_axis(values[:, :-1], batch["actions"][:, BURN_IN:, None], -1)[..., 0]
    steps = batch["mask"][:, BURN_IN:]
    np.testing.assert_allclose(taken[steps], batch["log_probs"][:, BURN_IN:][steps], atol=1e-5)
    # a cut episode's final observation is valued with its episode's memory, and is no step
    assert (~steps).any() == ("options" in env)


def test_without_the_stored_state_a_sequence_that_begins_amid_an_episode_is_valued_otherwise() -> None:
    settings = config(stored_state=False)
    layout, vector, arrays = collected(settings, {"id": "CartPole-v1"})
    _, batch = filled(settings, arrays).batch(50)
    zero, stored = (values_of(Updater(layout, config(stored_state=s), vector), batch) for s in (False, True))
    # no reset within the burn-in that would make both begin anew
    amid = ~batch["first"][:, : BURN_IN + 1].any(axis=1)
    assert amid.any()
    differs = np.abs(zero - stored).max(axis=(1, 2)) > 1e-6
    assert differs[amid].all()
    at_begin = batch["first"][:, BURN_IN]
    assert not (np.abs(zero - stored)[at_begin].max(initial=0) > 1e-6)


def test_the_last_action_and_the_last_reward_are_taken_in_but_not_those_of_another_episode() -> None:
    settings = config(burn_in=0)
    layout, vector, arrays = collected(settings, {"id": "CartPole-v1"})
    _, batch = filled(settings, arrays).batch(50)
    inputs = Updater(layout, settings, vector)._sequences(batch).inputs.numpy().transpose(1, 0, 2)
    begun = batch["first"]
    assert begun[:, 1:].any()
    assert not inputs[begun].any()
    later = ~begun[:, 1:]
    assert (inputs[:, 1:, :2].argmax(-1) == batch["actions"])[later].all()
    assert (inputs[:, 1:, 2] == batch["rewards"])[later].all()
    # row 0 has them from the state that the actor stored
    amid = ~begun[:, 0]
    np.testing.assert_array_equal(inputs[amid, 0], batch["states"][amid][:, -3:])
    assert (inputs[amid, 0, 2] == 1).all()


@ENVS
def test_burn_in_brings_the_state_up_to_date_and_has_no_gradient(env: dict[str, Any]) -> None:
    settings = config()
    layout, vector, arrays = collected(settings, env)
    _, batch = filled(settings, arrays).batch(12)
    updater = Updater(layout, settings, vector)
    data = updater._sequences(batch)
    whole = updater._unrolled(updater._online, data, learning=True)
    (gradient,) = torch.autograd.grad(whole.square().sum(), updater._online.parts["memory.weight_hh_l0"])

    states = updater._burnt_in(updater._online, data)
    later = data._replace(
        observations=data.observations[:, BURN_IN:],
        inputs=data.inputs[BURN_IN:],
        first=data.first[BURN_IN:],
        states=states,
    )
    alone = Updater(layout, config(burn_in=0), vector)
    cut = alone._unrolled(alone._online, later, learning=True)
    torch.testing.assert_close(whole, cut)
    (expected,) = torch.autograd.grad(cut.square().sum(), alone._online.parts["memory.weight_hh_l0"])
    torch.testing.assert_close(gradient, expected)
    assert gradient.abs().sum() > 0
    assert whole.shape[1] == LENGTH + 1 - BURN_IN


def test_an_update_lowers_the_errors_and_its_importance_weights_count() -> None:
    settings = config(learning_rate=0.01, max_grad_norm=None)
    layout, vector, arrays = collected(settings, {"id": "CartPole-v1"})
    _, batch = filled(settings, arrays).batch(16)
    updater, ones = Updater(layout, settings, vector), np.ones(16, np.float32)
    first, metrics = updater.learn(batch, ones)
    for _ in range(100):
        found, _ = updater.learn(batch, ones)
    assert found.mean() < 0.6 * first.mean()
    assert np.isfinite(metrics["gradient_norm"])
    still = Updater(layout, settings, vector)
    still.learn(batch, np.zeros(16, np.float32))
    np.testing.assert_array_equal(still.parameters(), vector)


def test_the_target_follows_at_its_time_only_and_double_lets_the_present_network_choose() -> None:
    settings = config(target_every=3, learning_rate=0.01)
    layout, vector, arrays = collected(settings, {"id": "CartPole-v1"})
    _, batch = filled(settings, arrays).batch(16)
    updater = Updater(layout, settings, vector)
    for update in range(1, 4):
        updater.learn(batch, np.ones(16, np.float32))
        assert np.array_equal(updater.arrays()["target"], vector) == (update < 3)
    np.testing.assert_array_equal(updater.arrays()["target"], updater.parameters())

    other = (vector + np.random.default_rng(5).standard_normal(layout.size)).astype(np.float32)
    errors = []
    for double in (True, False):
        mixed = Updater(layout, config(double=double), vector)
        mixed._target.load(other)
        errors.append(mixed._errors(mixed._sequences(batch), batch)[0].detach().numpy())
    assert np.abs(errors[0] - errors[1]).max() > 1e-3


def test_a_gradient_that_is_not_finite_is_left_out() -> None:
    settings = config()
    layout, vector, arrays = collected(settings, {"id": "CartPole-v1"})
    _, batch = filled(settings, arrays).batch(8)
    updater = Updater(layout, settings, vector)
    updater.learn({**batch, "rewards": np.full_like(batch["rewards"], np.inf)}, np.ones(8, np.float32))
    assert updater.skipped == 1
    np.testing.assert_array_equal(updater.parameters(), vector)


def test_a_restored_updater_goes_on_bit_for_bit(tmp_path: Path) -> None:
    settings = config(target_every=2)
    layout, vector, arrays = collected(settings, {"id": "CartPole-v1"})
    _, batch = filled(settings, arrays).batch(8)
    ones = np.ones(8, np.float32)
    updater, other = Updater(layout, settings, vector), Updater(layout, settings, 0 * vector)
    for _ in range(3):
        updater.learn(batch, ones)
    other.load(updater.arrays())
    for each in (updater, other):
        each.learn(batch, ones)
    for name, array in updater.arrays().items():
        np.testing.assert_array_equal(array, other.arrays()[name], name)


def test_a_network_without_memory_learns_too() -> None:
    settings = config(network=None, burn_in=0)
    layout, vector, arrays = collected(settings, {"id": "CartPole-v1"})
    assert "states" not in arrays
    _, batch = filled(settings, arrays).batch(8)
    updater = Updater(layout, settings, vector)
    found, _ = updater.learn(batch, np.ones(8, np.float32))
    assert found.shape == (8,)
    assert not np.array_equal(updater.parameters(), vector)
