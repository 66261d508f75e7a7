"""Saved policies without a training: random parameters in a checkpoint as the roles write it."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.models.actor_critic import make_model, network_data
from surreal.algorithms.models.config import NetworkConfig
from surreal.algorithms.recording.checkpoint import Checkpoint, Checkpoints
from surreal.algorithms.recording.policy_record import describe


class Odd(gymnasium.Env[Any, Any]):
    """An environment with any spaces."""

    def __init__(self, observation: Any, action: Any) -> None:
        self.observation_space, self.action_space = observation, action


def save(folder: Path, env: Environment, network: dict[str, Any], size: int, env_id: str = "odd") -> Path:
    """A run folder with one checkpoint of random parameters and statistics."""
    rng, numbers = np.random.default_rng(1), sum(leaf.size for leaf in env.spaces.leaves.values() if leaf.standardized)
    arrays = {
        "parameters": (0.3 * rng.standard_normal(size)).astype(np.float32),
        "shift": rng.standard_normal(numbers).astype(np.float32),
        "scale": rng.random(numbers).astype(np.float32) + 1,
        "clip": np.array([10.0], np.float32),
    }
    about = describe("any", env, {"id": env_id}, network)
    Checkpoints(folder / "checkpoints", 2).save(Checkpoint(20, arrays, {"updates": 1}, about))
    return folder


def save_ppo(folder: Path, made: gymnasium.Env[Any, Any], env_id: str = "odd", **settings: Any) -> Path:
    """A run folder with a policy as ppo has it, of hidden layers of 8 and 7 units."""
    config = NetworkConfig(**settings)
    env = Environment(made, env_id, config.view)
    layout = make_model(config, env.spaces, [8, 7])
    return save(folder, env, network_data(config, [8, 7], layout), layout.size, env_id)
