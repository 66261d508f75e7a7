"""Acting of R2D2: the ladder of epsilon, random choices, memory of the last step, loaded policies, settings."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.evaluate import evaluate
from surreal.algorithms.evaluation import Remembering, episode_return
from surreal.algorithms.policies import load_policy
from surreal.algorithms.r2d2.config import R2D2Config
from surreal.algorithms.r2d2.graph import sizing
from surreal.algorithms.r2d2.learner import State, network_data
from surreal.algorithms.r2d2.network import RecurrentValues, ValuePolicy, epsilons, make_layout
from surreal.algorithms.recording.checkpoint import Checkpoints
from surreal.algorithms.recording.policy_record import describe
from surreal.protocol.errors import Fatal, InvalidInput
from tests.algorithms.r2d2.samples import config


def policy_of(epsilon: Any = 0.0, **changes: Any) -> tuple[RecurrentValues, ValuePolicy]:
    layout = make_layout(config(**changes), Spaces.flat(4, 3, discrete=True))
    policy, rng = ValuePolicy(layout, epsilon), np.random.default_rng(0)
    policy.load((layout.initial(rng) + 0.5 * rng.standard_normal(layout.size)).astype(np.float32))
    return layout, policy


def test_epsilon_falls_from_the_first_copy_of_the_first_actor_to_the_last_of_the_last() -> None:
    settings = R2D2Config(epsilon=0.4, epsilon_ladder=7.0)
    ladder = np.concatenate([epsilons(settings, actor, 2, 4) for actor in range(2)])
    np.testing.assert_allclose(ladder, [0.4 ** (1 + 7 * i / 7) for i in range(8)], rtol=1e-6)
    np.testing.assert_allclose(epsilons(settings, 0, 1, 1), [0.4**4.5], rtol=1e-6)


def test_a_copy_acts_at_random_as_often_as_its_epsilon_says_and_over_all_choices() -> None:
    _, policy = policy_of(np.array([0.0, 0.3, 1.0]))
    outs = np.broadcast_to(np.array([1.0, 5.0, 2.0], np.float32), (20_000, 3, 3))
    noise = policy.noise(np.random.default_rng(1), outs.shape)
    actions = policy.act(outs, noise)
    shares = np.stack([(actions == choice).mean(axis=0) for choice in range(3)])
    np.testing.assert_allclose(shares[1], [1.0, 0.7 + 0.1, 1 / 3], atol=0.02)
    np.testing.assert_allclose(shares[0], [0.0, 0.1, 1 / 3], atol=0.02)
    np.testing.assert_array_equal(policy.log_prob(outs, actions)[actions == 1], 5.0)


def test_what_was_done_and_what_it_brought_changes_the_next_values() -> None:
    _, policy = policy_of()
    rows = np.ones((2, 4), np.float32)
    _, state = policy.advance(rows, policy.initial_state(2))
    policy.noted(state, np.array([2, 2]), np.array([0.0, 5.0], np.float32))
    assert state[:, -4:].tolist() == [[0, 0, 1, 0], [0, 0, 1, 5]]
    values, _ = policy.advance(rows, state)
    assert np.abs(values[0] - values[1]).max() > 1e-3
    policy.noted(state, np.array([2, 0]), np.zeros(2, np.float32))
    values, _ = policy.advance(rows, state)
    assert np.abs(values[0] - values[1]).max() > 1e-3


def test_a_loaded_policy_acts_as_the_evaluator_did_and_takes_in_rewards(tmp_path: Path) -> None:
    settings, env = config(), {"id": "CartPole-v1", "options": {}}
    made = make_env(env, "")
    layout = make_layout(settings, made.spaces)
    state = State(layout, settings, 1)
    rng = np.random.default_rng(4)
    vector = (layout.initial(rng) + 2.0 * rng.standard_normal(layout.size)).astype(np.float32)
    state.updater._online.load(vector)
    record = describe("r2d2", made, env, network_data(settings))
    Checkpoints(tmp_path / "checkpoints", keep=2).save(replace(state.checkpoint(), policy=record))
    loaded = load_policy(tmp_path)
    assert loaded.takes_rewards

    policy = ValuePolicy(layout)
    policy.load(vector)
    start = policy.initial_state(1)

    def act(rows: Any, kept: Any) -> Any:
        out, kept = policy.advance(rows, start if kept is None else kept)
        return policy.best(out), kept

    returns = [episode_return(made, Remembering(act, policy.noted), 7 + n, 500) for n in range(6)]
    assert evaluate(loaded, "CartPole-v1", episodes=6, seed=7).returns == tuple(returns)
    seen: list[float] = []
    episode_return(made, Remembering(act, lambda kept, outputs, rewards: seen.extend(rewards.tolist())), 7, 500)
    assert seen == [1.0] * int(returns[0] or 0)
    rows = np.ones((1, 4), np.float32)
    _, kept = loaded.step(rows, loaded.initial_state(1))
    none, much = (loaded.step(rows, kept, rewards=[reward])[1] for reward in (0.0, 5.0))
    assert np.abs(none - much).max() > 1e-3
    with pytest.raises(InvalidInput, match="it has memory"):
        loaded(np.zeros((1, 4), np.float32))
    with pytest.raises(InvalidInput, match="deterministic"):
        loaded.step(np.zeros((1, 4), np.float32), loaded.initial_state(1), sample=True)
    made.close()


def test_a_network_of_policies_and_actions_of_numbers_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"network\.std is for policies"):
        config(network={"std": "state"})
    with pytest.raises(Fatal, match="'r2d2' takes one choice at a time"):
        make_layout(config(), Spaces.flat(4, 2, discrete=False))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"fragment_steps": 9}, "fragment_steps"),
        ({"burn_in": 10}, "burn_in"),
        ({"replay": {"sequence_length": 10, "sequence_overlap": 10}}, "replay.sequence_overlap"),
        (
            {"replay": {"sequence_length": 10, "sequence_overlap": 0, "capacity": 100, "min_size": 101}},
            "replay.min_size",
        ),
        ({"total_steps": 1}, "replay.min_size"),
        ({"replay": {"sequence_length": 10, "sequence_overlap": 3, "capacity": 60, "min_size": 1}}, "replay.capacity"),
    ],
)
def test_settings_that_mean_nothing_together_are_refused_at_their_key(changes: dict[str, Any], key: str) -> None:
    found = sizing(config(**changes), {"actor": 2, "replay": 1}, {"copies": 4})
    assert [name for name, _ in found.problems] == [key]


def test_the_plan_says_which_share_of_the_steps_is_learned_from() -> None:
    found = sizing(R2D2Config(), {"actor": 2, "replay": 1}, {"copies": 4})
    assert (
        "5 sequences of 80 steps; values are learned in the last 40 of each, which are 83% of all steps"
        in found.notes[2]
    )
    assert "lstm of 128 units" in found.notes[0]
    none = sizing(config(network=None), {"actor": 2, "replay": 1}, {"copies": 4})
    assert "no memory" in none.notes[0]
    assert "Set burn_in: 0" in none.warnings[0]
