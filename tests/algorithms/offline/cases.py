"""Networks, settings and random batches of every algorithm that learns from data."""

from typing import Any

import numpy as np

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.offline.config import (
    AWACConfig,
    BCConfig,
    CQLConfig,
    CRRConfig,
    IQLConfig,
    OfflineConfig,
    TD3BCConfig,
)
from surreal.algorithms.offline.method import Method
from surreal.algorithms.offpolicy.updates.base import Batch, Engine

BOX, CHOICES = Spaces.flat(5, 3, discrete=False), Spaces.flat(5, 4, discrete=True)
SMALL: dict[str, Any] = {"dataset": "x", "hidden": [16, 12], "total_steps": 100}
VALUED: dict[str, Any] = {**SMALL, "device": "cpu"}
CASES: dict[str, tuple[str, OfflineConfig, Spaces]] = {
    "bc": ("bc", BCConfig(**SMALL), BOX),
    "bc-choices": ("bc", BCConfig(**SMALL), CHOICES),
    "td3bc": ("td3bc", TD3BCConfig(**VALUED), BOX),
    "cql": ("cql", CQLConfig(**VALUED, actions=3), BOX),
    "cql-choices": ("cql", CQLConfig(**VALUED), CHOICES),
    "iql": ("iql", IQLConfig(**VALUED), BOX),
    "awac": ("awac", AWACConfig(**VALUED), BOX),
    "crr": ("crr", CRRConfig(**VALUED), BOX),
    "crr-binary": ("crr", CRRConfig(**VALUED, binary=True), BOX),
}


def method(case: str) -> Method:
    """Return the algorithm of a case."""
    return Method(*CASES[case])


def engine(case: str, seed: int = 0) -> Engine:
    """Return the engine of a case with random parameters."""
    return method(case).engine(np.random.default_rng(seed))


def batch(case: str, size: int = 16, seed: int = 0) -> Batch:
    """Return random transitions; a quarter of them are terminal."""
    spaces, rng = CASES[case][2], np.random.default_rng([seed, 7])

    def normal(*dimensions: int) -> Any:
        return rng.standard_normal(dimensions, dtype=np.float32)

    discrete = spaces.discrete
    arrays = {
        "observations": normal(size, 5),
        "actions": rng.integers(4, size=size) if discrete else np.tanh(normal(size, 3)),
        "rewards": normal(size),
        "discounts": np.where(rng.random(size) < 0.25, 0, 0.97).astype(np.float32),
        "next_observations": normal(size, 5),
        "weights": np.ones(size, dtype=np.float32),
    }
    return method(case).batch(arrays, rng)
