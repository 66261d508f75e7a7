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
from surreal.algorithms.returns import gae
from surreal.algorithms.rollouts.discount import Discount
from surreal.algorithms.rollouts.state import State
from surreal.algorithms.rollouts.trajectories import trajectories
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal
from surreal.protocol.wire.packet import Message
from tests.algorithms.ppo.samples import as_fragment, ppo, random_fragment, random_shape

STEPS, COPIES = 25, 4


def state(**settings: Any) -> State:
    spaces, config = Spaces.flat(5, 3, False), ppo(device="cpu", minibatch=20, epochs=1, **settings)
    return State(spaces, config, Updater(make_model(config.network, spaces, [8]), config, seed=1))


def message(number: int, cut: bool = False, terminated: bool = False, length: int = STEPS) -> Message:
    """A fragment of 100 steps, in whose last one four episodes of `length` steps ended in this way, or none."""
    arrays: dict[str, Array] = random_fragment(number, STEPS, COPIES)
    for name, ended in (("truncated", cut), ("terminated", terminated)):
        arrays[name] = np.zeros((STEPS, COPIES), np.bool_)
        arrays[name][-1] = ended
    arrays["final"] = np.zeros((COPIES if cut else 0, 5), np.float32)
    ends = COPIES if cut or terminated else 0
    arrays["episode_returns"] = np.ones(ends, np.float32)
    arrays["episode_lengths"] = np.full(ends, length, np.int64)
    return Message("actor/0", 0, number, (0, 0), {}, arrays)


def test_a_number_stays_whatever_ends_episodes() -> None:
    discount = Discount(0.9)
    discount.take_in(1000, 10, 0)
    assert discount.gamma == 0.9 and not discount.follows


@pytest.mark.parametrize(
    ("steps", "episodes", "terminated", "gamma"),
    [
        (0, 0, 0, 0.9999),
        (16_384, 16, 0, 0.9999),
        (16_384, 16, 1, 0.995),
        (6_400, 16, 0, 0.9999),
        (6_384, 16, 0, 0.995),
        (1000, 10, 0, 0.99),
        (1000, 500, 0, 0.98),
        (3200, 16, 0, 0.995),
        (1000, 10, 10, 0.995),
        (1000, 10, 1, 0.995),
    ],
)
def test_auto_looks_as_far_as_episodes_go_that_time_limits_alone_end(
    steps: int, episodes: int, terminated: int, gamma: float
) -> None:
    discount = Discount("auto")
    discount.take_in(steps, episodes, terminated)
    assert discount.gamma == pytest.approx(gamma, abs=5e-5)


def test_auto_follows_a_time_limit_that_has_changed_within_some_hundred_episodes() -> None:
    discount = Discount("auto")
    discount.take_in(100_000, 2_000, 0)
    assert discount.gamma == 0.98
    for _ in range(20):
        discount.take_in(2_000, 20, 0)
    assert discount.gamma == pytest.approx(0.99, abs=5e-4)


def endless() -> Discount:
    """Return a discount that knows sixteen episodes of a thousand steps, which a time limit ended."""
    discount = Discount("auto")
    discount.take_in(16_000, 16, 0)
    return discount


def test_a_far_horizon_falls_while_values_explain_little_and_not_before_they_had_time_to_learn() -> None:
    discount, horizons = endless(), []
    for explained in (*[0.0] * 10, *[0.8] * 40):
        discount.judge(explained)
        horizons.append(1 / (1 - discount.gamma))
    assert horizons[:10] == pytest.approx([10_000] * 10)
    assert (np.diff(horizons)[9:26] < 0).all() and discount.endless, "0.8 ** 18 is less than a fiftieth"
    assert horizons[-1] == pytest.approx(200) and not discount.far
    for _ in range(100):
        discount.judge(1.0)
    assert discount.gamma == 0.995, "values that know more again do not lengthen it"


def test_a_far_horizon_stays_where_values_explain_nearly_all() -> None:
    discount = endless()
    for number in range(500):
        discount.judge(0.85 if number % 5 == 4 else 0.96)
        discount.judge(float("nan"))
    assert discount.gamma == pytest.approx(0.9999) and discount.far


def test_an_episode_that_ends_itself_brings_back_the_usual_discount_and_rewards_as_they_are() -> None:
    discount = endless()
    assert discount.endless
    discount.take_in(100, 1, 1)
    assert (discount.gamma, discount.endless) == (0.995, False)


@pytest.mark.parametrize("limit", [50, 300, 399])
def test_a_horizon_that_short_episodes_gave_up_does_not_come_back(limit: int) -> None:
    discount = Discount("auto")
    assert discount.endless, "nothing has ended yet"
    for length in (limit, *[5_000] * 300):
        discount.take_in(16 * length, 16, 0)
        assert not discount.endless and discount.gamma <= 0.995


def test_a_shorter_time_limit_ends_a_far_horizon_at_once() -> None:
    discount = endless()
    discount.take_in(16 * 150, 16, 0)
    assert not discount.endless


def test_values_of_a_run_with_a_number_know_no_far_horizon() -> None:
    number, later = Discount(0.99), Discount("auto")
    number.take_in(16_000, 16, 0)
    later.load(number.state())
    later.take_in(16_000, 16, 0)
    assert (later.gamma, later.endless) == (0.995, False)


def test_rewards_that_nothing_scales_have_no_far_horizon() -> None:
    run = state(gamma="auto", normalize_rewards=False)
    assert run.learn([message(1)])["gamma"] == 0.995


@pytest.mark.parametrize("key", ["normalize_rewards", "normalize_observations"])
@pytest.mark.parametrize("had", [True, False])
def test_networks_that_learned_from_numbers_of_another_scale_are_refused(key: str, had: bool) -> None:
    run = state(**{key: had})
    run.learn([message(1)])
    text = f"spec.algorithm.config.{key}: the checkpoint learned with {str(had).lower()}, .* Set {key}: "
    with pytest.raises(Fatal, match=text):
        state(**{key: not had}).restore(run.checkpoint())
    state(**{key: had}).restore(run.checkpoint())


@pytest.mark.parametrize("before", [0, 60])
def test_a_checkpoint_keeps_the_horizon_and_one_of_before_has_none_that_is_far(before: int) -> None:
    discount, later, old = endless(), Discount("auto"), Discount("auto")
    for _ in range(before):
        discount.judge(0.8)
    later.load(discount.state())
    for each in (discount, later):
        each.judge(0.8)
    assert (later.gamma, later.endless) == (discount.gamma, True)
    old.load({key: value for key, value in discount.state().items() if key in ("steps", "episodes", "terminated")})
    again = Discount("auto")
    again.load(old.state())
    elsewhere = Discount("auto")
    elsewhere.settle()
    elsewhere.take_in(16_000, 16, 0)
    assert [(each.gamma, each.endless) for each in (old, again, elsewhere)] == [(0.995, False)] * 3


@pytest.mark.parametrize("sign", [1, -1])
def test_rewards_are_centred_where_only_time_limits_end_long_episodes_and_they_are_more_than_costs(sign: int) -> None:
    run = state(gamma="auto")
    assert run.scaler is not None
    sent = [message(number) for number in (1, 2)]
    for each in sent:
        each.arrays["rewards"] = sign * (np.abs(each.arrays["rewards"]) + 1)
        assert run.learn([each])["gamma"] == pytest.approx(0.9999)
    mean = np.mean([each.arrays["rewards"].mean() for each in sent])
    assert run.scaler.mean == pytest.approx(mean, rel=1e-5)
    assert run.scaler.centre == (run.scaler.mean if sign > 0 else 0)
    rewards = np.linspace(0, 1, 6, dtype=np.float32)
    shift = run.scaler.centre / np.sqrt(run.scaler.moments.variance[0] + 1e-8)
    centred, run.scaler.centred = run.scaler(rewards), False
    np.testing.assert_allclose(centred, run.scaler(rewards) - shift, atol=1e-5)
    run.scaler.centred = True
    again = state(gamma="auto")
    again.restore(run.checkpoint())
    assert again.scaler is not None and again.scaler.centre == run.scaler.centre
    for held in (run, again):
        held.learn([message(4)])
    assert again.scaler.mean == run.scaler.mean, "a restart does not begin the mean anew"
    assert run.learn([message(3, terminated=True)])["gamma"] == 0.995 and run.scaler.centre == 0


def test_a_far_horizon_has_a_longer_trace() -> None:
    data = trajectories([as_fragment(random_fragment(1))], Standardizer.of(RunningMoments(5)), None)
    found = {}
    for name, far, trace in (("far", True, 0.95), ("said", False, 0.98), ("near", False, 0.95)):
        updater = Updater(random_shape(False), ppo(device="cpu", minibatch=16, epochs=1, gae_lambda=trace), seed=3)
        updater.update(replace(data, far=far), 0.0)
        found[name] = updater.parameters()
    np.testing.assert_allclose(found["far"], found["said"], atol=1e-6)
    assert np.abs(found["far"] - found["near"]).max() > 1e-5


@pytest.mark.parametrize("gamma", [0.995, 0.9999])
def test_centred_rewards_have_the_advantages_of_all_rewards_where_nothing_ends(gamma: float) -> None:
    rng = np.random.default_rng(0)
    rewards, values, following = (rng.standard_normal((50, 3)) for _ in range(3))
    done = np.zeros((50, 3), np.bool_)
    shift = 0.05 / (1 - gamma)  # float32 keeps few digits of more
    plain = gae(rewards, values, following, done, gamma, 0.95)
    centred = gae(rewards - 0.05, values - shift, following - shift, done, gamma, 0.95)
    np.testing.assert_allclose(plain, centred, rtol=1e-3, atol=1e-3)


def test_each_update_has_the_discount_of_the_episodes_so_far_and_says_it() -> None:
    run = state()
    assert run.learn([message(1)])["gamma"] == pytest.approx(0.9999)
    assert run.learn([message(2, cut=True, length=50)])["gamma"] == 0.98
    assert run.learn([message(3)])["gamma"] == 0.98, "episodes that have not ended say nothing of how long they are"
    assert run.learn([message(4, cut=True, length=150)])["gamma"] == pytest.approx(1 - 1 / 100)
    assert run.scaler is not None and run.scaler.gamma == pytest.approx(1 - 1 / 100)
    assert run.learn([message(8, terminated=True)])["gamma"] == 0.995
    assert run.learn([message(9, cut=True)])["gamma"] == 0.995, "a task that ends itself stays one"
    assert "gamma" not in state(gamma=0.9).learn([message(1)])


def test_a_checkpoint_keeps_what_is_known_of_the_episodes_and_one_of_before_or_elsewhere_knows_nothing() -> None:
    run = state()
    for number in range(1, 4):
        run.learn([message(number, cut=number == 3, length=75)])
    saved, first, second, elsewhere = run.checkpoint(), state(), state(), state()
    first.restore(saved)
    known = {key: value for key, value in saved.state.items() if key != "discount"}
    second.restore(Checkpoint(saved.steps, saved.arrays, known))
    assert first.discount.gamma == run.discount.gamma == pytest.approx(1 - 1 / 75)
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
