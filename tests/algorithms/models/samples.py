"""Spaces and parameters for tests of networks."""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.models.config import NetworkConfig
from surreal.algorithms.networks import Layout
from surreal.algorithms.types import Array

PIXELS = spaces.Box(0, 255, (40, 40, 3), np.uint8)
PLANES = spaces.Box(0, 1, (10, 10, 4), np.bool_)  # type: ignore[arg-type]
NUMBERS = spaces.Box(-1, 1, (5,), np.float32)
ROBOT = spaces.Dict({"camera": PIXELS, "joints": NUMBERS, "grip": spaces.Discrete(3)})


def model(observation: Any, action: Any = None, hidden: tuple[int, ...] = (8,), **network: Any) -> Layout:
    """The layout of a network with these settings."""
    config = NetworkConfig(**network)
    found = Spaces(observation, spaces.Discrete(3) if action is None else action).seen_as(config.view)
    return make_model(config, found, hidden)


def vector(layout: Layout, seed: int = 0) -> Array:
    """Parameters that are not special anywhere."""
    rng = np.random.default_rng(seed)
    return (layout.initial(rng, -0.3) + 0.05 * rng.standard_normal(layout.size)).astype(np.float32)


def tensors(layout: Layout, values: Array) -> dict[str, torch.Tensor]:
    """The parts of `values` as tensors."""
    return {name: torch.from_numpy(part.copy()) for name, part in layout.views(values).items()}


def observed(layout: Layout, n: int, seed: int = 0) -> Any:
    """Random observations [n, ...] of its spaces."""
    rng = np.random.default_rng(seed)
    rows = {}
    for name, leaf in layout.spaces.leaves.items():
        if leaf.dtype.kind == "f":
            rows[name] = rng.standard_normal((n, *leaf.shape)).astype(np.float32)
        else:
            rows[name] = rng.integers(0, 2 if leaf.dtype.kind == "b" else 256, (n, *leaf.shape)).astype(leaf.dtype)
    return rows.get("", rows)
