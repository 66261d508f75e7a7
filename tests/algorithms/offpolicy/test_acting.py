"""Fragments hold what happened; configs, sizes and descriptions mean what they say."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.offpolicy.config import (
    DDPGConfig,
    DQNConfig,
    OffPolicyConfig,
    SACConfig,
    TD3Config,
    read_config,
)
from surreal.algorithms.offpolicy.exploration import RandomActions
from surreal.algorithms.offpolicy.graph import sizing
from surreal.algorithms.offpolicy.method import Method
from surreal.algorithms.offpolicy.policy import ActingPolicy
from surreal.algorithms.offpolicy.rollout import Rollout
from surreal.algorithms.policies import load_policy
from surreal.algorithms.recording.checkpoint import Checkpoint, Checkpoints
from surreal.algorithms.recording.policy_record import describe
from surreal.algorithms.replay.config import ReplaySettings
from surreal.algorithms.replay_learning.actor import Collected
from surreal.algorithms.replay_learning.learner import ReplayLearner, StepCount
from surreal.protocol.errors import Fatal, InvalidInput
from tests.algorithms.offpolicy.cases import BOX, CHOICES

CONFIGS = {"ddpg": DDPGConfig(), "td3": TD3Config(), "sac": SACConfig(), "dqn": DQNConfig()}


def collected(env: str, method: Method, copies: int, steps: int, fragments: int) -> list[Collected]:
    envs = VectorEnvironments(lambda: make_env(env), copies, 1)
    policy = ActingPolicy(method.shape(envs.spaces))
    explore = RandomActions(policy, copies, np.random.default_rng(1))
    rollout, standardize = Rollout(envs, copies, steps), Standardizer.identity(envs.spaces.observation)
    found = [rollout.collect(explore, standardize, lambda: False) for _ in range(fragments)]
    envs.close()
    return [fragment for fragment in found if fragment is not None]


def test_fragments_follow_each_other_and_count_every_episode_once() -> None:
    found = collected("CartPole-v1", Method("dqn", DQNConfig()), copies=3, steps=16, fragments=20)
    for before, after in zip(found, found[1:], strict=False):
        assert (before.arrays["observations"][-1] == after.arrays["observations"][0]).all()
    ended = sum(int((f.arrays["terminated"] | f.arrays["truncated"]).sum()) for f in found)
    returns, lengths = (np.concatenate([getattr(f, name) for f in found]) for name in ("returns", "lengths"))
    assert len(returns) == ended > 10
    assert (returns == lengths).all()  # CartPole pays 1 for each step


def test_a_time_limit_is_a_cut_with_its_final_observation_and_no_end() -> None:
    found = collected("Pendulum-v1", Method("ddpg", DDPGConfig()), copies=2, steps=50, fragments=8)
    cut = [fragment for fragment in found if fragment.arrays["truncated"].any()]
    assert len(cut) == 2
    for fragment in cut:
        assert not fragment.arrays["terminated"].any()
        assert fragment.arrays["final"].shape == (2, 3)
        # An episode of 200 steps ends in another state than the next one begins in.
        assert (fragment.arrays["final"] != fragment.arrays["observations"][-1]).any()


def test_actions_in_fragments_lie_within_one_whatever_the_bounds_are() -> None:
    found = collected("Pendulum-v1", Method("sac", SACConfig()), copies=2, steps=50, fragments=2)
    actions = np.concatenate([fragment.arrays["actions"] for fragment in found])
    assert 0.9 < np.abs(actions).max() <= 1.0  # the pendulum's torque goes to 2


@pytest.mark.parametrize("name", CONFIGS)
def test_the_keys_of_a_complete_config_tell_its_algorithm(name: str) -> None:
    config = CONFIGS[name]
    assert type(read_config(config.model_dump())) is type(config)


@pytest.mark.parametrize(("name", "spaces"), [("ddpg", CHOICES), ("td3", CHOICES), ("dqn", BOX)])
def test_actions_of_the_wrong_kind_are_refused_with_the_algorithms_that_take_them(name: str, spaces: object) -> None:
    with pytest.raises(Fatal, match=f"algorithm.name: '{name}' takes .* Choose .*sac"):
        Method(name, CONFIGS[name]).shape(spaces)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["dqn", "sac"])
def test_actions_of_several_choices_are_refused_with_the_algorithm_that_takes_them(name: str) -> None:
    several = Spaces(BOX.observation_space, gymnasium.spaces.MultiDiscrete([3, 2]))
    with pytest.raises(Fatal, match=f"'{name}' takes one choice at a time.*Choose ppo"):
        Method(name, CONFIGS[name]).shape(several)


def test_critics_have_layer_norms_where_there_are_many_updates_for_each_step() -> None:
    for config, normed in (
        (SACConfig(), False),
        (SACConfig(updates_per_step=20), True),
        (SACConfig(updates_per_step=20, layer_norm=False), False),
        (SACConfig(layer_norm=True), True),
    ):
        shape = Method("sac", config).shape(BOX)
        assert (shape.critic.normed, shape.acting.normed) == (normed, False)


def problems(config: OffPolicyConfig) -> dict[str, str]:
    found: dict[Any, str] = dict(sizing(config, {"actor": 2, "replay": 3}, {"copies": 4}).problems)
    return found


def test_settings_that_mean_nothing_together_are_refused_by_their_key() -> None:
    assert not problems(TD3Config())
    assert "fragment_steps" in problems(TD3Config(n_step=20, fragment_steps=16))["n_step"]
    assert "capacity" in problems(TD3Config(replay={"capacity": 500}))["replay.min_size"]  # type: ignore[arg-type]
    late = TD3Config(total_steps=900, replay={"min_size": 900})  # type: ignore[arg-type]
    assert "total_steps" in problems(late)["replay.min_size"]
    small = TD3Config(replay={"capacity": 100, "min_size": 50})  # type: ignore[arg-type]
    assert "fragment" in problems(small)["replay.capacity"]
    sequences = TD3Config(replay={"sequence_length": 8})  # type: ignore[arg-type]
    assert "take r2d2" in problems(sequences)["replay.sequence_length"]


@pytest.mark.parametrize(
    ("config", "random_steps"),
    [
        (TD3Config(), 10_000),
        (SACConfig(total_steps=300_000), 10_000),
        (DDPGConfig(total_steps=20_000), 2_000),
        (DDPGConfig(total_steps=20_000, replay={"min_size": 5_000}), 5_000),  # type: ignore[arg-type]
        (DQNConfig(), 1_000),
        (DQNConfig(total_steps=5_000, replay={"capacity": 4_000}), 500),  # type: ignore[arg-type]
        (TD3Config(total_steps=1), 1),
    ],
    ids=str,
)
def test_a_run_begins_with_ten_thousand_random_steps_or_a_tenth_of_a_short_one(
    config: OffPolicyConfig, random_steps: int
) -> None:
    assert config.replay.min_size == random_steps
    assert ReplaySettings.of(config.model_dump(), 1).replay.min_size == random_steps
    assert type(config).recorded(config.model_dump()) == config


def test_the_plan_says_how_often_a_step_is_learned_from() -> None:
    found = sizing(SACConfig(updates_per_step=0.5), {"actor": 2, "replay": 3}, {"copies": 4})
    assert "each step is learned from 128 times" in found.notes[0]
    assert found.notes[1] == "replay keeps 1,000,000 steps in 3 shards; 2 actors fill it, 64 steps at a time"
    shared = sizing(SACConfig(threads=2), {"actor": 1, "replay": 1}, {"copies": 1})
    assert shared.notes[-1] == "a learner on a CPU shares each batch among 2 threads, of as many cores"
    unstable = sizing(SACConfig(updates_per_step=20, layer_norm=False), {"actor": 2, "replay": 1}, {"copies": 1})
    assert "layer_norm" in unstable.warnings[0]


@pytest.mark.parametrize(
    ("name", "env_id"),
    [("ddpg", "Pendulum-v1"), ("sac", "Pendulum-v1"), ("sac", "CartPole-v1"), ("dqn", "CartPole-v1")],
)
def test_a_checkpoint_describes_its_policy_which_then_acts_as_in_the_run(
    name: str, env_id: str, tmp_path: Path
) -> None:
    config = type(CONFIGS[name])(hidden=[8, 6])
    env = make_env(env_id)
    shape = Method(name, config).shape(env.spaces)
    vector = shape.acting.initial(np.random.default_rng(1))
    about = describe(name, env, {"id": env_id}, shape.data())
    arrays = {"parameters": vector, **Standardizer.identity(env.spaces.observation).arrays()}
    Checkpoints(tmp_path, keep=1).save(Checkpoint(5, arrays, {}, about))
    policy, acting = load_policy(tmp_path / "step-000000000005"), ActingPolicy(shape)
    acting.load(vector)
    seen = np.random.default_rng(2).standard_normal((7, env.spaces.observation)).astype(np.float32)
    best = acting.best(acting.forward(seen))
    assert policy(seen) == pytest.approx(2 * best if env_id == "Pendulum-v1" else best)
    if name == "sac":
        drawn = [policy(seen, sample=True, rng=seed) for seed in range(30)]
        assert any((one != drawn[0]).any() for one in drawn)
    else:
        with pytest.raises(InvalidInput, match=f"no meaning for {name}"):
            policy(seen, sample=True)


def test_steps_go_on_where_shards_go_on_and_where_they_have_forgotten() -> None:
    count = StepCount(0)
    assert count(inserted=100, first=8) == 100
    resumed = StepCount(1000)
    assert resumed(inserted=510, first=500) == 1010  # one of two shards was heard
    assert resumed(inserted=1020, first=1005) == 1020  # they took in five more while no learner ran
    empty = StepCount(1000)
    assert empty(inserted=16, first=0) == 1016
    assert empty(inserted=150, first=0) == 1150


def test_a_learner_that_goes_on_with_shards_that_began_empty_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    count = StepCount(1000)
    count(inserted=16, first=10)
    count(inserted=32, first=10)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    caplog.clear()
    late = StepCount(1000)
    late(inserted=490, first=480, all_heard=False)
    late(inserted=990, first=980)
    StepCount(0)(inserted=16, first=0)
    assert not caplog.records


class Starved(ReplayLearner):
    """A learner whose batch comes at the fourth look."""

    def __init__(self) -> None:
        self.looks = 0

    def _sample(self, timeout: float) -> Any:
        self.looks += 1
        return None if self.looks < 4 else "batch"

    def _take_episodes(self) -> None:
        pass


def test_a_learner_that_waits_for_replay_reads_what_others_report_at_every_look() -> None:
    waits: list[tuple[str, float]] = []
    batch: Any = Starved().collect(lambda *wait: waits.append(wait))
    assert batch == "batch"
    assert [names for names, _ in waits] == ["replay"] * 3
