"""Fragments and batches of real rollouts for tests of R2D2."""

from typing import Any

import numpy as np

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.r2d2.config import R2D2Config
from surreal.algorithms.r2d2.network import RecurrentValues, ValuePolicy, make_layout
from surreal.algorithms.replay.buffer import ReplayBuffer
from surreal.algorithms.replay.config import ReplaySettings
from surreal.algorithms.rollouts.rollout import Rollout
from surreal.algorithms.types import Array
from surreal.protocol.wire.packet import Message

COPIES, STEPS, LENGTH, BURN_IN = 3, 24, 10, 4
# Acrobot cut after 5 steps: all its ends are truncations.
CUT = {"id": "Acrobot-v1", "options": {"max_episode_steps": 5}}


def config(**changes: Any) -> R2D2Config:
    settings: dict[str, Any] = {
        "fragment_steps": STEPS,
        "burn_in": BURN_IN,
        "batch": 8,
        "hidden": [5],
        "network": {"memory": {"size": 6}},
        "device": "cpu",
        "replay": {"sequence_length": LENGTH, "sequence_overlap": 3, "capacity": 1_000, "min_size": 1},
    }
    return R2D2Config(**{**settings, **changes})


def collected(
    settings: R2D2Config, env: dict[str, Any], epsilon: float = 0.3
) -> tuple[RecurrentValues, Array, dict[str, Array]]:
    """A layout, its parameters, and what one actor sent of its second fragment, which begins amid episodes."""
    envs = VectorEnvironments(lambda: make_env(env, "", settings.network.view), COPIES, 1)
    layout = make_layout(settings, envs.spaces)
    policy, rng = ValuePolicy(layout, epsilon), np.random.default_rng(3)
    vector = (layout.initial(rng) + 0.3 * rng.standard_normal(layout.size)).astype(np.float32)
    policy.load(vector)
    rollout = Rollout(envs, policy, COPIES, STEPS, rng, sequence=1)
    rollout.collect(lambda rows: rows, lambda: False)
    arrays = rollout.collect(lambda rows: rows, lambda: False)
    envs.close()
    assert arrays is not None
    return layout, vector, arrays


def filled(settings: R2D2Config, arrays: dict[str, Array]) -> ReplayBuffer:
    """A shard that has taken in one fragment."""
    buffer = ReplayBuffer(ReplaySettings.of(settings.model_dump(), 1), np.random.default_rng(0))
    sent = {name: array for name, array in arrays.items() if name != "episode_returns"}
    buffer.insert(Message("actor/0", 1, 0, (1, 0), {}, sent))
    return buffer
