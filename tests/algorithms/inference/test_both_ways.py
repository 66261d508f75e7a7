"""Fragments of actors with a policy of their own and of actors that ask for actions: one schema, one meaning."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.impala.update import Updater
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.config import NetworkConfig
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.rollouts.fragment import FragmentCheck
from surreal.algorithms.types import Array
from tests.algorithms.impala.samples import COPIES, STEPS, collected, impala, learned_from
from tests.algorithms.inference.central import served

MEMORY: dict[str, Any] = {"memory": {"kind": "lstm", "size": 6}}
CUT = {"id": "CartPole-v1", "wrappers": [{"time_limit": 5}]}
CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"id": "CartPole-v1"}),
    ({"network": {"encoder": "mlp"}}, CUT),
    ({"network": {**MEMORY, "std": "state", "squash": True}}, {"id": "Pendulum-v1"}),
    ({"network": MEMORY}, CUT),
    ({"network": {"encoder": "small-cnn", "encoder_width": 8}}, {"id": "tests.algorithms.environments.own.parts:Film"}),
]
BOTH = pytest.mark.parametrize(("settings", "env"), CASES, ids=str)


def centrally(folder: Path, settings: dict[str, Any], env: dict[str, Any]) -> tuple[Any, Array, list[dict[str, Array]]]:
    """Two fragments that one actor collected by asking."""
    with served(folder, impala(**settings), env, COPIES) as (found, layout, vector):
        rollout = found.rollout()
        fragments = [rollout.collect(None, lambda: False) for _ in range(2)]
    assert all(each is not None and each.version == (1, 0) for each in fragments)
    assert rollout.lost == 0
    return layout, vector, [each.arrays for each in fragments if each is not None]


@BOTH
def test_a_fragment_by_asking_has_the_schema_of_one_by_a_policy_and_the_probabilities_of_the_learner(
    folder: Path, settings: dict[str, Any], env: dict[str, Any]
) -> None:
    config = impala(**settings, anneal=False)
    layout, vector, fragments = centrally(folder, settings, env)
    _, _, local = collected(config, env)
    for arrays in fragments:
        assert FragmentCheck(layout.spaces, STEPS, COPIES, (1, layout.state_size)).problem(arrays) == ""
        assert set(arrays) == set(local[0])
        for name in ("observations", "actions", "log_probs", "rewards", "terminated", "states", "masks"):
            if name in local[0]:
                assert (arrays[name].shape, arrays[name].dtype) == (local[0][name].shape, local[0][name].dtype)
    updater = Updater(layout, config, 1)
    updater.gradient.load({**updater.arrays(), "parameters": vector})
    metrics = updater.update(learned_from(layout, fragments), 0.0)
    assert metrics["mean_ratio"] == pytest.approx(1.0, abs=1e-4)
    assert metrics["kl"] == pytest.approx(0.0, abs=1e-6)


def test_a_fragment_goes_on_where_the_last_one_ended_and_every_step_of_every_copy_counts_once(folder: Path) -> None:
    settings = impala(network=MEMORY)
    with served(folder, settings, {"id": "CartPole-v1"}, COPIES) as (found, _, _):
        rollout = found.rollout()
        fragments = [rollout.collect(None, lambda: False) for _ in range(6)]
        under_way = rollout._returns._length.sum()
    arrays = [each.arrays for each in fragments if each is not None]
    for one, following in zip(arrays, arrays[1:], strict=False):
        np.testing.assert_array_equal(one["observations"][-1], following["observations"][0])
        # memory at the begin of a fragment is zero just where an episode begins there
        begins = (one["terminated"] | one["truncated"])[-1]
        assert (np.abs(following["states"][0]).sum(axis=1) == 0).tolist() == begins.tolist()
    lengths = sum(int(each["episode_lengths"].sum()) for each in arrays)
    assert lengths + under_way == 6 * STEPS * COPIES


def test_memory_is_stored_at_the_begin_of_every_sequence(folder: Path) -> None:
    config = PPOConfig(fragment_steps=STEPS, sequence_steps=4, network=NetworkConfig(**MEMORY), device="cpu")
    with served(folder, config, {"id": "Pendulum-v1"}, COPIES) as (found, layout, vector):
        rollout, policy = found.rollout(), make_policy(layout)
        arrays = [rollout.collect(None, lambda: False) for _ in range(2)][1].arrays  # type: ignore[union-attr]
    assert FragmentCheck(layout.spaces, STEPS, COPIES, (3, layout.state_size)).problem(arrays) == ""
    policy.load(vector)
    state = arrays["states"][0]
    for t in range(STEPS):
        np.testing.assert_allclose(arrays["states"][t // 4], state, atol=1e-6) if t % 4 == 0 else None
        _, state = policy.advance(arrays["observations"][t], state)


def test_collecting_ends_when_the_process_is_asked_to_stop(folder: Path) -> None:
    with served(folder, impala(), {"id": "CartPole-v1"}, 2) as (found, _, _):
        assert found.rollout().collect(None, lambda: True) is None
