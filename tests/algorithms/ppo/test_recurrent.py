"""Recurrent PPO: what the learner unrolls is what the actor did, through resets, sequences, files and evaluation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.evaluate import evaluate
from surreal.algorithms.evaluation import Remembering, episode_return
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.actor_critic import make_model, network_data
from surreal.algorithms.models.distributions import log_prob
from surreal.algorithms.networks import Layout, Policy
from surreal.algorithms.normalizers import Standardizer, over_leaves
from surreal.algorithms.policies import load_policy
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients.autograd import Autograd
from surreal.algorithms.ppo.update import Updater
from surreal.algorithms.recording.checkpoint import Checkpoint, Checkpoints
from surreal.algorithms.recording.policy_record import describe
from surreal.algorithms.rollouts.fragment import FragmentCheck
from surreal.algorithms.rollouts.rollout import Rollout
from surreal.algorithms.rollouts.trajectories import Fragment, Trajectories, trajectories
from surreal.algorithms.types import Array
from surreal.protocol.errors import InvalidInput

COPIES, STEPS, SEQUENCE = 3, 24, 8
# Acrobot cut after 5 steps: all its ends are truncations.
CUT = {"id": "Acrobot-v1", "options": {"max_episode_steps": 5}}


def config(**changes: Any) -> PPOConfig:
    network = {"memory": {"kind": "lstm", "size": 6}, "trunk": [7], **changes.pop("network", {})}
    settings: dict[str, Any] = {"fragment_steps": STEPS, "sequence_steps": SEQUENCE, "device": "cpu", "minibatch": 16}
    return PPOConfig(**{**settings, "network": network, **changes})


def collected(settings: PPOConfig, env: dict[str, Any]) -> tuple[Layout, Array, Trajectories, dict[str, Array]]:
    """The second fragment of an actor, which begins in the middle of episodes; and the parameters it acted with."""
    envs = VectorEnvironments(lambda: make_env(env, "", settings.network.view), COPIES, 1)
    layout = make_model(settings.network, envs.spaces, settings.hidden)
    policy, rng = make_policy(layout), np.random.default_rng(3)
    vector = (layout.initial(rng, -0.5) + 0.3 * rng.standard_normal(layout.size)).astype(np.float32)
    policy.load(vector)
    standardize = over_leaves(Standardizer.identity(envs.spaces.observation), envs.spaces)
    rollout = Rollout(envs, policy, COPIES, STEPS, rng, settings.sequence)
    rollout.collect(standardize, lambda: False)
    arrays = rollout.collect(standardize, lambda: False)
    envs.close()
    assert arrays is not None
    check = FragmentCheck(layout.spaces, STEPS, COPIES, (STEPS // settings.sequence, layout.state_size))
    assert check.problem(arrays) == ""
    assert "states" in check.problem({name: array for name, array in arrays.items() if name != "states"})
    return layout, vector, trajectories([Fragment.of(arrays, layout.spaces)], standardize, None), arrays


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("env", [{"id": "CartPole-v1"}, CUT, {"id": "Pendulum-v1"}])
def test_the_learner_finds_the_probabilities_that_the_actor_acted_with(kind: str, env: dict[str, Any]) -> None:
    settings = config(network={"memory": {"kind": kind, "size": 6}})
    layout, vector, data, _ = collected(settings, env)
    gradient = Autograd(layout, settings, vector)
    batch = gradient.batch(data)
    nothing = np.zeros((STEPS, COPIES), dtype=np.float32)
    batch.estimate(nothing, nothing)
    seen = []
    for minibatch in batch.shuffled(np.random.default_rng(0), settings.of(layout).minibatch):
        with torch.no_grad():
            out, _ = gradient._network.outputs(minibatch.observations, minibatch.memories)
            mean, log_std = gradient._distribution(out)
            log_probs, _ = log_prob(mean, log_std, minibatch.actions, layout.spaces.choices)
        np.testing.assert_allclose(log_probs.numpy(), minibatch.log_probs.numpy(), atol=2e-5)
        assert len(minibatch.log_probs) in (16, 8)
        seen.append(minibatch.log_probs)
    assert sorted(torch.cat(seen).tolist()) == sorted(data.log_probs.reshape(-1).tolist())


@pytest.mark.parametrize("env", [{"id": "CartPole-v1"}, CUT])
def test_values_are_those_of_torchs_cell_stepped_one_by_one(env: dict[str, Any]) -> None:
    settings = config()
    layout, vector, data, arrays = collected(settings, env)
    batch = (gradient := Autograd(layout, settings, vector)).batch(data)
    found = gradient.values(batch.rows, batch.memories)
    expected, final = transcribed(layout.views(vector), data, arrays["states"][0])
    rows = (STEPS + 1) * COPIES
    np.testing.assert_allclose(found[:rows].reshape(STEPS + 1, COPIES), expected, atol=1e-5)
    np.testing.assert_allclose(found[rows:], final, atol=1e-5)
    assert len(final) == data.truncated.sum()


def transcribed(parts: dict[str, Array], data: Trajectories, state: Array) -> tuple[Array, list[float]]:
    """Values [steps + 1, copies] and those of final observations, copy by copy and step by step."""
    tensors = {name: torch.from_numpy(part.copy()) for name, part in parts.items()}
    cell = nn.LSTMCell(7, 6)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    cell.load_state_dict({name: tensors[f"memory.{name}_l0"] for name in names})
    observations, finals = np.asarray(data.observations), iter(np.asarray(data.final))
    final = {(t, c): next(finals) for t, c in zip(*np.nonzero(data.truncated), strict=True)}
    values, of_final = np.empty(observations.shape[:2], dtype=np.float32), {}

    def stepped(x: Array, h: torch.Tensor, c: torch.Tensor) -> tuple[float, torch.Tensor, torch.Tensor]:
        inside = (tensors["trunk.0.weight"] @ torch.from_numpy(x) + tensors["trunk.0.bias"]).tanh()
        h, c = cell(inside[None], (h, c))
        return float(tensors["value.0.weight"][0] @ h[0] + tensors["value.0.bias"][0]), h, c

    with torch.no_grad():
        for copy in range(COPIES):
            h, c = (torch.from_numpy(part[None].copy()) for part in np.split(state[copy], 2))
            for t in range(STEPS + 1):
                values[t, copy], h, c = stepped(observations[t, copy], h, c)
                if (t, copy) in final:
                    of_final[t, copy] = stepped(final[t, copy], h, c)[0]
                if t < STEPS and (data.terminated[t, copy] or data.truncated[t, copy]):
                    h, c = torch.zeros_like(h), torch.zeros_like(c)
    return values, [of_final[place] for place in sorted(of_final)]


@pytest.mark.parametrize("changes", [{}, {"objective": "adaptive-kl", "target_kl": 0.01}, {"precision": "bfloat16"}])
def test_an_update_moves_the_parameters_and_is_resumed_bit_for_bit(changes: dict[str, Any]) -> None:
    settings = config(epochs=2, **changes)
    layout, _, data, _ = collected(settings, {"id": "CartPole-v1"})
    first, second = Updater(layout, settings, 1), Updater(layout, settings, 1)
    before = first.gradient.parameters()
    first.update(data, 0.0)
    second.load({name: array.copy() for name, array in first.arrays().items()}, first.state())
    results = [each.update(data, 0.5) for each in (first, second)]
    assert results[0] == results[1] and np.isfinite(list(results[0].values())).all()
    assert (first.gradient.parameters() == second.gradient.parameters()).all()
    assert (first.gradient.parameters() != before).any()


def saved(folder: Path, env: dict[str, Any], **network: Any) -> Policy:
    """A checkpoint of a recurrent policy in `folder`, and its acting policy."""
    settings, made = config(network=network), make_env(env, "", "features")
    layout = make_model(settings.network, made.spaces, settings.hidden)
    rng = np.random.default_rng(0)
    vector = (layout.initial(rng, -0.5) + 0.3 * rng.standard_normal(layout.size)).astype(np.float32)
    about = describe("ppo", made, env, network_data(settings.network, settings.hidden, layout))
    made.close()
    statistics = Standardizer.identity(made.spaces.observation).arrays()
    Checkpoints(folder / "checkpoints", 1).save(Checkpoint(1, {"parameters": vector, **statistics}, {}, about))
    policy = make_policy(layout)
    policy.load(vector)
    return policy


def test_a_loaded_policy_carries_its_state(tmp_path: Path) -> None:
    policy = saved(tmp_path, {"id": "CartPole-v1"})
    loaded = load_policy(tmp_path)
    rng, n = np.random.default_rng(1), 4
    mine, theirs = policy.initial_state(n), loaded.initial_state(n)
    for _ in range(5):
        rows = rng.standard_normal((n, 4)).astype(np.float32)
        out, mine = policy.advance(rows, mine)
        actions, theirs = loaded.step(rows, theirs)
        assert (actions == policy.best(out)).all() and (mine == theirs).all()
    assert mine.any()
    with pytest.raises(InvalidInput, match="it has memory. Use actions, state = policy.step"):
        loaded(rows)
    with pytest.raises(InvalidInput, match=r"state: an array \[4, 12\] does not fit. Give \[2, 12\]"):
        loaded.step(rows[:2], theirs)


def test_an_evaluation_begins_every_episode_without_memory(tmp_path: Path) -> None:
    policy, env = saved(tmp_path, {"id": "CartPole-v1"}), make_env({"id": "CartPole-v1"})

    def act(rows: Any, state: Array | None) -> tuple[Array, Array]:
        out, state = policy.advance(rows, policy.initial_state(1) if state is None else state)
        return policy.best(out), state

    remembering = Remembering(act)
    returns = [episode_return(env, remembering, seed, 500) for seed in (5, 5, 6)]
    env.close()
    assert returns[0] == returns[1]
    assert list(evaluate(load_policy(tmp_path), "CartPole-v1", episodes=2, seed=5).returns) == [returns[0], returns[2]]


def test_settings_of_sequences_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="sequence_steps: 7 does not divide fragment_steps: 24. Set one of 2, 3,"):
        config(sequence_steps=7)
    with pytest.raises(ValidationError, match="sequence_steps needs a memory"):
        PPOConfig(sequence_steps=8)
    with pytest.raises(ValidationError, match="shared: False does not go with memory"):
        config(network={"shared": False})
