"""One update: epochs, KL stop, annealing, resuming; and pace and gathering around it."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.models.config import NetworkConfig
from surreal.algorithms.normalizers import RewardScaler, RunningMoments, Standardizer
from surreal.algorithms.ppo.actor import Pace
from surreal.algorithms.ppo.batch import Batch
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.update import BETA_RANGE, StepSize, Updater
from surreal.algorithms.rollouts.facts import Facts
from surreal.algorithms.rollouts.fragment import RESTARTS
from surreal.algorithms.rollouts.trajectories import Trajectories, trajectories
from surreal.protocol.profiling.spans import ACTIVE, Recorder
from tests.algorithms.ppo.samples import as_fragment, random_fragment, random_shape


def random_data(seed: int, discrete: bool = False) -> Trajectories:
    return trajectories(
        [as_fragment(random_fragment(seed, discrete=discrete))], Standardizer.of(RunningMoments(5)), None
    )


def updater(**changes: Any) -> Updater:
    return Updater(random_shape(False), PPOConfig(device="cpu", minibatch=16, **changes), seed=3)


@pytest.mark.parametrize("gradients", ["analytic", "autograd"])
@pytest.mark.parametrize(
    "changes", [{}, {"objective": "adaptive-kl", "target_kl": 0.01}, {"recompute_advantages": True}]
)
def test_an_update_that_is_resumed_continues_bit_for_bit(gradients: str, changes: dict[str, Any]) -> None:
    first = updater(gradients=gradients, epochs=2, **changes)
    for seed in range(3):
        first.update(random_data(seed), progress=0.1)
    arrays = {name: array.copy() for name, array in first.arrays().items()}
    second = updater(gradients=gradients, epochs=2, **changes)
    second.load(arrays, first.state())
    results = [u.update(random_data(9), progress=0.2) for u in (first, second)]
    assert results[0] == results[1]
    assert (first.gradient.parameters() == second.gradient.parameters()).all()


@pytest.mark.parametrize("gradients", ["analytic", "autograd"])
@pytest.mark.parametrize("discrete", [False, True])
def test_an_old_fragment_leaves_the_whole_clip_range_to_an_update(
    gradients: Literal["analytic", "autograd"], discrete: bool
) -> None:
    def first_step(**changes: Any) -> dict[str, float]:
        config = PPOConfig(device="cpu", gradients=gradients, epochs=1, minibatch=64, **changes)
        return Updater(random_shape(discrete), config, seed=3).update(random_data(0, discrete), progress=0.0)

    assert first_step()["kl"] == pytest.approx(0.0, abs=1e-5) and first_step()["clip_fraction"] == 0.0
    for changes in ({"clip_from": "behaviour"}, {"max_staleness": 0}):
        assert first_step(**changes)["kl"] > 0.01


@pytest.mark.parametrize("gradients", ["analytic", "autograd"])
def test_returns_follow_the_values_from_epoch_to_epoch_and_advantages_do_not(
    gradients: Literal["analytic", "autograd"],
) -> None:
    def epochs(name: str, **changes: Any) -> list[bool]:
        """Say of each epoch after the first whether the column is that of the epoch before."""
        learner, seen = updater(gradients=gradients, epochs=3, learning_rate=1e-2, **changes), []
        epoch = learner.gradient.epoch

        def noted(batch: Batch, *others: Any) -> None:
            seen.append(np.array(getattr(batch, name)))
            epoch(batch, *others)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(learner.gradient, "epoch", noted)
            learner.update(random_data(0), progress=0.0)
        return [bool((one == other).all()) for one, other in pairwise(seen)]

    assert epochs("advantages") == [True, True] and epochs("returns") == [False, False]
    assert epochs("returns", recompute_returns=False) == [True, True]
    assert epochs("advantages", recompute_advantages=True) == [False, False]


@pytest.mark.parametrize("numba", [False, True])
def test_a_profile_has_what_the_steps_of_all_epochs_were_spent_on(numba: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ACTIVE, "recorder", recorder := Recorder(shortest=0))
    updater(numba=numba, epochs=3).update(random_data(0), progress=0.0)
    names, minibatches = recorder.names(), 3 * 16 * 4 // 16
    marks = [(names[mark.key][0], mark) for mark in recorder.drain(1000)[0]]
    epochs = sum(mark.duration for name, mark in marks if name == "epoch")
    spent = {name: [mark for each, mark in marks if each == name] for name in ("forward", "backward", "optimizer")}
    assert [sum(mark.times for mark in each) for each in spent.values()] == [minibatches] * 3
    assert 0 < sum(mark.duration for each in spent.values() for mark in each) < epochs


def test_epochs_stop_once_the_policy_has_moved_too_far() -> None:
    metrics = updater(target_kl=1e-4, learning_rate=0.05, epochs=10).update(random_data(0), progress=0.0)
    assert metrics["epochs"] < 10
    assert updater(epochs=10).update(random_data(0), progress=0.0)["epochs"] == 10


def test_the_learning_rate_falls_linearly_to_zero() -> None:
    assert updater(learning_rate=0.1).update(random_data(0), progress=0.75)["learning_rate"] == pytest.approx(0.025)
    assert updater(learning_rate=0.1, anneal=False).update(random_data(0), 0.75)["learning_rate"] == 0.1
    still = updater()
    before = still.gradient.parameters()
    still.update(random_data(0), progress=1.0)
    assert (still.gradient.parameters() == before).all()


@pytest.mark.parametrize("gradients", ["analytic", "autograd"])
def test_the_clip_range_falls_linearly_where_that_is_asked_for(gradients: str) -> None:
    falling, fixed = (updater(gradients=gradients, clip=0.3, anneal_clip=falls) for falls in (True, False))
    for each in (falling, fixed):
        each.update(random_data(0), progress=0.5)
    assert (falling.gradient.clip, fixed.gradient.clip) == pytest.approx((0.15, 0.3))
    assert (falling.gradient.parameters() != fixed.gradient.parameters()).any()


@pytest.mark.parametrize("gradients", ["analytic", "autograd"])
def test_the_weight_of_the_entropy_goes_to_its_final_value(gradients: str) -> None:
    end = {"entropy_coef_final": 0.0}
    goes, stays = (updater(gradients=gradients, entropy_coef=0.2, **each) for each in (end, {}))
    for each in (goes, stays):
        each.update(random_data(0), progress=0.75)
    assert (goes.gradient.entropy_coef, stays.gradient.entropy_coef) == pytest.approx((0.05, 0.2))
    assert (goes.gradient.parameters() != stays.gradient.parameters()).any()


def test_the_step_size_follows_the_kl_that_an_update_is_meant_to_have() -> None:
    slow, fast = updater(desired_kl=10.0), updater(desired_kl=1e-6)
    rates = [[each.update(random_data(seed), 0.0)["learning_rate"] for seed in range(30)] for each in (slow, fast)]
    assert rates[0][:3] == pytest.approx([3e-4, 4.5e-4, 6.75e-4])
    assert rates[0][-1] == pytest.approx(3e-3)
    assert rates[1][:3] == pytest.approx([3e-4, 2e-4, 1.333e-4], rel=1e-3)
    assert rates[1][-1] == pytest.approx(3e-5)


def test_the_step_size_grows_only_where_the_kl_is_a_small_part_of_what_is_meant() -> None:
    size = StepSize(PPOConfig(desired_kl=0.02))
    size.adapt(0.006, progress=0.0)
    assert size.multiple == 1
    size.adapt(0.004, progress=0.0)
    assert size.multiple == 1.5


def test_the_step_size_stays_where_no_kl_is_meant_or_a_penalty_adapts() -> None:
    for still in (updater(desired_kl=None), updater(objective="adaptive-kl", target_kl=0.01)):
        assert [still.update(random_data(seed), 0.0)["learning_rate"] for seed in range(3)] == [3e-4] * 3


def test_a_step_size_that_one_update_lowered_comes_back_and_no_further() -> None:
    size = StepSize(PPOConfig(desired_kl=0.02))
    size.adapt(0.04, progress=0.0)
    assert size.multiple == pytest.approx(1 / 1.5)
    size.adapt(0.015, progress=0.0)
    assert size.multiple == pytest.approx(1 / 1.5)
    for _ in range(3):
        size.adapt(0.012, progress=0.0)
    assert size.multiple == 1


def test_a_kl_that_is_small_since_the_step_size_falls_does_not_raise_it() -> None:
    size, steady = StepSize(PPOConfig(desired_kl=0.02)), StepSize(PPOConfig(desired_kl=0.02, anneal=False))
    for each in (size, steady):
        each.adapt(0.006 * 0.1**2, progress=0.9)
    assert (size.multiple, steady.multiple) == (1, 1.5)
    assert (steady.at(0.9).policy, size.at(0.9).policy) == pytest.approx((4.5e-4, 3e-5))
    size.adapt(0.004 * 0.1**2, progress=0.9)
    assert size.multiple == 1.5


def test_the_step_size_of_a_network_of_values_is_its_own_and_knows_no_kl() -> None:
    size, one = StepSize(PPOConfig(desired_kl=0.02)), StepSize(PPOConfig(desired_kl=0.02, value_learning_rate=None))
    for each in (size, one):
        each.adapt(0.04, progress=0.0)
    assert size.at(0.5) == pytest.approx((1e-4, 5e-4))
    assert one.at(0.5) == pytest.approx((1e-4, 1e-4))


@pytest.mark.parametrize("engine", ["analytic", "compiled", "autograd"])
def test_each_network_goes_as_far_as_its_own_step_size_says(engine: str) -> None:
    settings: Any = {"numba": engine == "compiled", "gradients": engine.replace("compiled", "analytic")}
    settings |= {"device": "cpu", "epochs": 1, "minibatch": 1000, "desired_kl": None}
    moved = []
    for values in (1e-3, 4e-3):
        learner = Updater(random_shape(False), PPOConfig(value_learning_rate=values, **settings), seed=3)
        before = learner.parameters()
        learner.update(random_data(1), 0.0)
        moved.append(learner.parameters() - before)
    own = learner._layout.of_values()
    assert own.any() and not own.all()
    assert moved[1][own] == pytest.approx(4 * moved[0][own], rel=1e-3, abs=1e-6)
    assert moved[1][~own] == pytest.approx(moved[0][~own], rel=1e-3, abs=1e-6)


def test_networks_that_share_an_encoder_have_one_step_size() -> None:
    spaces = Spaces.flat(5, 2, discrete=False)
    apart = make_model(NetworkConfig(value=[8]), spaces, [4])
    assert [name for name, part in apart.views(apart.of_values()).items() if part.all()] == [
        name for name in apart.parts if name.startswith("value.")
    ]
    assert not make_model(NetworkConfig(trunk=[8]), spaces, [4]).of_values().any()


def test_the_weight_of_the_kl_penalty_moves_both_ways_within_its_range() -> None:
    learner = updater(objective="adaptive-kl", target_kl=0.01)
    learner._adapt(1.0)
    assert learner.beta == pytest.approx(1.5)
    learner._adapt(0.001)
    assert learner.beta == pytest.approx(1.0)
    for _ in range(50):
        learner._adapt(1.0)
    assert learner.beta == BETA_RANGE[1]


def test_an_epoch_holds_every_transition_once() -> None:
    batch = Batch(random_data(0))
    batch.estimate(np.arange(64, dtype=np.float32).reshape(16, 4), np.zeros((16, 4), dtype=np.float32))
    parts = list(batch.shuffled(np.random.default_rng(0), 24))
    assert [len(part.advantages) for part in parts] == [24, 24, 16]
    assert sorted(np.concatenate([part.advantages for part in parts])) == list(range(64))


def test_final_observations_keep_their_places_when_fragments_are_joined() -> None:
    fragments = [random_fragment(seed) for seed in (1, 2)]
    for fragment, mark in zip(fragments, (1.0, 2.0), strict=True):
        fragment["final"][:] = mark
    data = trajectories([as_fragment(each) for each in fragments], Standardizer.of(RunningMoments(5)), None)
    marks = iter(data.final[:, 0])
    for t in range(16):
        for copy in np.flatnonzero(data.truncated[t]):
            assert next(marks) == pytest.approx(1.0 if copy < 4 else 2.0)


def test_rewards_are_scaled_where_the_experiment_wants_it() -> None:
    fragment = random_fragment(0)
    scaler = RewardScaler(0.99)
    scaler.update("actor/0", fragment["rewards"], fragment["terminated"] | fragment["truncated"])
    data = trajectories([as_fragment(fragment)], Standardizer.of(RunningMoments(5)), scaler)
    np.testing.assert_allclose(data.rewards, scaler(fragment["rewards"]))


def test_discounted_returns_begin_anew_where_an_actor_begins_new_episodes() -> None:
    ones, never = np.ones((3, 2), np.float32), np.zeros((3, 2), np.bool_)
    arrays = {"rewards": ones, "terminated": never, "truncated": never, "episode_returns": np.empty(0)}
    arrays["episode_lengths"] = np.empty(0, np.int64)

    def sent(restarts: int, incarnation: int = 1) -> Any:
        return SimpleNamespace(sender="actor/0", incarnation=incarnation, meta={RESTARTS: restarts}, arrays=arrays)

    def means(*messages: Any) -> list[float]:
        stated = facts.state(messages, [as_fragment(random_fragment(0)) for _ in messages])
        return [float(each[0]) for each in stated["rewards.mean"]]

    facts = Facts(Spaces.flat(5, 3, False), RewardScaler(1.0), False)
    assert means(sent(0), sent(0), sent(1)) == [2.0, 5.0, 2.0], "the second goes on where the first ended"
    assert means(sent(1)) == [5.0]
    assert means(sent(2)) == means(sent(2, 2)) == [2.0]
    assert means(sent(2, 2), sent(0, 3)) == [5.0, 2.0]


@pytest.mark.parametrize("staleness", [0, 1, 2])
def test_an_actor_in_step_never_exceeds_the_staleness(staleness: int) -> None:
    pace, seen = Pace(staleness), []
    for update in range(20):
        floor = pace.newer_than()
        lowest = 0 if floor is None else floor[1] + 1  # the oldest weights that the actor may take
        seen.append(update - lowest)
        pace.collected((1, lowest))
    assert max(seen) == staleness


def test_an_actor_follows_a_restarted_learner_back_to_its_checkpoint() -> None:
    pace = Pace(0)
    for version in range(10):
        pace.collected((1, version))
    assert pace.newer_than() == (1, 9)
    pace.collected((2, 4))
    assert pace.newer_than() == (2, 4)


@pytest.mark.parametrize("gradients", ["analytic", "autograd"])
def test_the_clip_range_falls_to_zero_where_the_experiment_wants_it(gradients: str) -> None:
    annealed, plain = (
        updater(gradients=gradients, anneal_clip=which, epochs=2, clip_from="behaviour") for which in (True, False)
    )
    shares = [each.update(random_data(0), progress=0.95)["clip_fraction"] for each in (annealed, plain)]
    assert annealed.gradient.clip == pytest.approx(0.01) and plain.gradient.clip == 0.2
    assert shares[0] > shares[1]
