"""Targets of the critics against transcriptions of the papers, and what ends and cuts of episodes mean for them."""

import os
from dataclasses import replace

import numpy as np
import pytest

from surreal.algorithms.offpolicy.config import DDPGConfig, DQNConfig, OffPolicyConfig, SACConfig, TD3Config
from surreal.algorithms.offpolicy.method import Method
from surreal.algorithms.offpolicy.state import State
from surreal.algorithms.offpolicy.updates.analytic import Analytic
from surreal.protocol.errors import Fatal
from tests.algorithms.offpolicy.cases import BOX, CASES, CHOICES, batch, engine
from tests.algorithms.offpolicy.papers import TARGETS


@pytest.mark.parametrize("case", CASES)
def test_targets_are_those_of_the_papers(case: str) -> None:
    made, data = engine(case, seed=3), batch(case, size=12, seed=3)
    expected = [TARGETS[case](made, data, row) for row in range(12)]
    assert made.targets(data) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("case", CASES)
def test_a_terminated_episode_has_no_value_beyond_its_end(case: str) -> None:
    made, data = engine(case), batch(case)
    ended = replace(data, discounts=np.zeros_like(data.discounts))
    assert (made.targets(ended) == data.rewards).all()


@pytest.mark.parametrize("case", CASES)
def test_a_cut_episode_is_bootstrapped_from_its_final_observation(case: str) -> None:
    made, data = engine(case), batch(case)
    before = made.targets(data)
    moved = made.targets(replace(data, next_observations=data.next_observations + 1))
    assert ((before != moved) == (data.discounts > 0)).all()


@pytest.mark.parametrize("config", [DDPGConfig(), TD3Config(), SACConfig(), DQNConfig(dueling=True)])
def test_a_state_goes_on_from_its_checkpoint_bit_for_bit(config: OffPolicyConfig) -> None:
    small = type(config)(**{**config.model_dump(), "hidden": [8], "batch": 16, "normalize_observations": True})
    spaces = CHOICES if isinstance(config, DQNConfig) else BOX
    method = Method({DDPGConfig: "ddpg", TD3Config: "td3", SACConfig: "sac", DQNConfig: "dqn"}[type(config)], small)
    first, second = State(method, spaces, seed=1), State(method, spaces, seed=2)
    case = "dqn" if isinstance(config, DQNConfig) else "td3"
    for update in range(5):
        first.learn(vars(batch(case, 16, seed=update)), np.ones(16, np.float32))
    second.restore(first.checkpoint())
    for state in (first, second):
        state.learn(vars(batch(case, 16, seed=9)), np.ones(16, np.float32))
    one, other = first.checkpoint(), second.checkpoint()
    assert one.state == other.state
    assert all((one.arrays[name] == other.arrays[name]).all() for name in one.arrays)


def test_networks_that_learned_without_statistics_are_refused_where_they_are_wanted() -> None:
    plain, wanted = (Method("td3", TD3Config(hidden=[8], normalize_observations=on)) for on in (False, True))
    first = State(plain, BOX, seed=1)
    State(wanted, BOX, seed=1).restore(first.checkpoint())  # nothing has been learned
    first.learn(vars(batch("td3", 16)), np.ones(16, np.float32))
    text = "normalize_observations: the checkpoint learned with false, .* Set normalize_observations: false"
    with pytest.raises(Fatal, match=text):
        State(wanted, BOX, seed=1).restore(first.checkpoint())


def test_the_actor_and_the_targets_move_when_they_are_due() -> None:
    state = State(Method("td3", TD3Config(hidden=[8], actor_every=2, target_every=3)), BOX, seed=1)
    moved = []
    for update in range(6):
        before = state.engine.arrays()
        before = {name: before[name].copy() for name in ("actor", "critics", "critics.target")}
        state.learn(vars(batch("td3", seed=update)), np.ones(32, np.float32))
        after = state.engine.arrays()
        moved.append([name for name in before if (after[name] != before[name]).any()])
    assert moved == [
        ["critics"],
        ["actor", "critics"],
        ["critics", "critics.target"],
        ["actor", "critics"],
        ["critics"],
        ["actor", "critics", "critics.target"],
    ]


def test_a_hard_target_is_a_copy() -> None:
    state = State(Method("dqn", DQNConfig(hidden=[8], target_share=1.0, target_every=4)), CHOICES, seed=1)
    for update in range(4):
        state.learn(vars(batch("dqn", seed=update)), np.ones(32, np.float32))
    arrays = state.engine.arrays()
    assert (arrays["critics"] == arrays["critics.target"]).all()


def test_the_temperature_rises_while_the_policy_has_too_little_entropy_and_falls_otherwise() -> None:
    for target, sign in ((50.0, 1), (-50.0, -1)):
        config = SACConfig(hidden=[8], target_entropy=target, temperature=0.5, temperature_learning_rate=0.01)
        state = State(Method("sac", config), BOX, seed=1)
        for update in range(5):
            _, metrics = state.learn(vars(batch("sac", seed=update)), np.ones(32, np.float32))
        assert (metrics["temperature"] - 0.5) * sign > 0.02


def test_rows_with_a_small_importance_weight_move_the_critic_less() -> None:
    small, large = engine("dqn"), engine("dqn")
    data = batch("dqn")
    small.critic_step(replace(data, weights=data.weights * np.float32(0.5)), 0.0)
    large.critic_step(data, 0.0)
    assert small.critics._grads[0] == pytest.approx(large.critics._grads[0] / 2, abs=1e-7)


def test_the_loss_of_dqn_is_hubers_or_the_square_as_the_config_says() -> None:
    far = replace(batch("dqn"), rewards=np.full(32, 50.0, np.float32), weights=np.ones(32, np.float32))
    slopes = {}
    for loss in ("huber", "squared"):
        state = State(Method("dqn", DQNConfig(hidden=[8], loss=loss, max_grad_norm=None)), CHOICES, seed=1)
        before = state.engine.arrays()["critics"].copy()
        _, metrics = state.engine.critic_step(far, 0.0)
        assert (state.engine.arrays()["critics"] == before).all()
        slopes[loss] = np.abs(state.engine.critics._grads[0]).max()  # type: ignore[attr-defined]
        assert metrics["critic_loss"] > 100
    assert slopes["squared"] > 20 * slopes["huber"]


def test_items_of_another_environment_end_the_learner_in_words() -> None:
    state = State(Method("td3", TD3Config(hidden=[8])), BOX, seed=1)
    arrays = vars(batch("td3")) | {"observations": np.zeros((32, 9), np.float32)}
    with pytest.raises(Fatal, match=r"observations have 9 numbers, those of the environment have 5\. Remove"):
        state.learn(arrays, np.ones(32, np.float32))


def test_a_process_of_one_core_computes_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    for cores in ({0}, {0, 1, 2}):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, cores=cores: cores, raising=False)
        engine = Method("td3", TD3Config(hidden=[8], threads=2)).engine(BOX, np.random.default_rng(0))
        assert isinstance(engine, Analytic)
        threads.append(engine.lanes.count)
    assert threads == [1, 2]
