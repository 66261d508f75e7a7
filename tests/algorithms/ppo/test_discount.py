"""Discount of a run: a number stays; `auto` follows how episodes end, through an update, a checkpoint, an old one."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.normalizers import RunningMoments, Standardizer
from surreal.algorithms.ppo.update import Updater
from surreal.algorithms.recording.checkpoint import Checkpoint
from surreal.algorithms.rollouts.discount import Discount
from surreal.algorithms.rollouts.state import State
from surreal.algorithms.rollouts.trajectories import trajectories
from surreal.algorithms.types import Array
from surreal.protocol.wire.packet import Message
from tests.algorithms.ppo.samples import as_fragment, ppo, random_fragment, random_shape

STEPS, COPIES = 25, 4


def state(**settings: Any) -> State:
    spaces, config = Spaces.flat(5, 3, False), ppo(device="cpu", minibatch=20, epochs=1, **settings)
    return State(spaces, config, Updater(make_model(config.network, spaces, [8]), config, seed=1))


def message(number: int, cut: bool = False, terminated: bool = False) -> Message:
    """A fragment of 100 steps, in whose last one four episodes ended in this way, or none."""
    arrays: dict[str, Array] = random_fragment(number, STEPS, COPIES)
    for name, ended in (("truncated", cut), ("terminated", terminated)):
        arrays[name] = np.zeros((STEPS, COPIES), np.bool_)
        arrays[name][-1] = ended
    arrays["final"] = np.zeros((COPIES if cut else 0, 5), np.float32)
    arrays["episode_returns"] = np.ones(COPIES if cut or terminated else 0, np.float32)
    return Message("actor/0", 0, number, (0, 0), {}, arrays)


def test_a_number_stays_whatever_ends_episodes() -> None:
    discount = Discount(0.9)
    discount.take_in(1000, 10, 0)
    assert discount.gamma == 0.9 and not discount.follows


@pytest.mark.parametrize(
    ("steps", "episodes", "terminated", "gamma"),
    [
        (900, 0, 0, 0.995),
        (16_384, 16, 0, 0.995),
        (1000, 10, 0, 0.99),
        (1000, 500, 0, 0.98),
        (3200, 16, 0, 0.995),
        (1000, 10, 10, 0.995),
        (1000, 10, 1, 0.995),
    ],
)
def test_auto_looks_no_further_than_short_episodes_that_time_limits_alone_end(
    steps: int, episodes: int, terminated: int, gamma: float
) -> None:
    discount = Discount("auto")
    assert discount.gamma == 0.995
    discount.take_in(steps, episodes, terminated)
    assert discount.gamma == pytest.approx(gamma, abs=5e-5)


def test_auto_follows_a_time_limit_that_has_changed_within_some_hundred_episodes() -> None:
    discount = Discount("auto")
    discount.take_in(100_000, 2_000, 0)
    assert discount.gamma == 0.98
    for _ in range(20):
        discount.take_in(2_000, 20, 0)
    assert discount.gamma == pytest.approx(0.99, abs=5e-4)


def test_each_update_has_the_discount_of_the_episodes_so_far_and_says_it() -> None:
    run = state()
    assert run.learn([message(1)])["gamma"] == 0.995
    assert run.learn([message(2, cut=True)])["gamma"] == 0.98
    run.learn([message(3)])
    assert run.learn([message(4)])["gamma"] == pytest.approx(1 - 4 / 400)
    assert run.scaler is not None and run.scaler.gamma == pytest.approx(1 - 4 / 400)
    assert run.learn([message(8, terminated=True)])["gamma"] == 0.995
    assert run.learn([message(9, cut=True)])["gamma"] == 0.995, "a task that ends itself stays one"
    assert "gamma" not in state(gamma=0.9).learn([message(1)])


def test_a_checkpoint_keeps_what_is_known_of_the_episodes_and_one_of_before_or_elsewhere_knows_nothing() -> None:
    run = state()
    for number in range(1, 4):
        run.learn([message(number, cut=number == 3)])
    saved, first, second, elsewhere = run.checkpoint(), state(), state(), state()
    first.restore(saved)
    known = {key: value for key, value in saved.state.items() if key != "discount"}
    second.restore(Checkpoint(saved.steps, saved.arrays, known))
    assert first.discount.gamma == run.discount.gamma == pytest.approx(1 - 4 / 300)
    assert first.scaler is not None and first.scaler.gamma == first.discount.gamma
    elsewhere.restore(Checkpoint(saved.steps, saved.arrays, {**known, "discount": None}))
    assert second.discount.gamma == elsewhere.discount.gamma == 0.995


def test_an_update_discounts_by_what_the_run_says_only_where_the_config_leaves_it_open() -> None:
    data = trajectories([as_fragment(random_fragment(1))], Standardizer.of(RunningMoments(5)), None)
    found = {}
    for gamma in ("auto", 0.9, 0.99):
        updater = Updater(random_shape(False), ppo(device="cpu", minibatch=16, epochs=1, gamma=gamma), seed=3)
        updater.update(replace(data, gamma=0.9), 0.0)
        found[gamma] = updater.parameters()
    assert (found["auto"] == found[0.9]).all() and (found["auto"] != found[0.99]).any()
