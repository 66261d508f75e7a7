"""State of a run that learns from a dataset: the engine, the statistics, the counters. All of it is in a checkpoint."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from surreal.algorithms.normalizers import RunningMoments, Standardizer, refuse_another_scale, standardizes
from surreal.algorithms.offline.method import Method
from surreal.algorithms.offpolicy.updates.base import Rates
from surreal.algorithms.recording.checkpoint import Checkpoint
from surreal.algorithms.types import Array

MOMENTS_ROWS = 65_536
"""Transitions that the statistics of the observations are of; they never change again."""


class State:
    """State that learning changes. A step is an update."""

    def __init__(self, method: Method, seed: int) -> None:
        self.method, self._config = method, method.config
        self._rng = np.random.default_rng([seed, 0])
        self.engine = method.engine(self._rng)
        config: Any = self._config
        self._acts = method.shape().actor is not None
        self._actor_every = getattr(config, "actor_every", 1)
        self._target_every = getattr(config, "target_every", self._actor_every)
        actor = getattr(config, "actor_learning_rate", config.learning_rate)
        self._rates = Rates(actor, config.learning_rate, config.learning_rate)
        self._reward_scale = np.float32(getattr(config, "reward_scale", 1.0))
        self.moments = RunningMoments(method.spaces.observation)
        self.standardizer = Standardizer.identity(method.spaces.observation)
        self.steps = self.updates = 0
        self.elapsed = 0.0

    @property
    def wants_moments(self) -> bool:
        """True until the statistics have seen enough."""
        return self._config.normalize_observations and self.moments.count < MOMENTS_ROWS

    def see(self, observations: Array) -> None:
        """Take observations [n, size] into the statistics."""
        self.moments.update(observations)
        self.standardizer = Standardizer.of(self.moments)

    def done(self) -> bool:
        """Return True once all updates are made."""
        return self.steps >= self._config.total_steps

    def learn(self, arrays: Mapping[str, Array], weights: Array) -> dict[str, float]:
        """Make one update on a batch: the critics always, the actor and the targets when they are due."""
        batch = self.method.batch(
            {
                "observations": self.standardizer(arrays["observations"]),
                "actions": arrays["actions"],
                "rewards": arrays["rewards"] * self._reward_scale,
                "discounts": arrays["discounts"],
                "next_observations": self.standardizer(arrays["next_observations"]),
                "weights": weights,
            },
            self._rng,
        )
        _, metrics = self.engine.critic_step(batch, self._rates.critic)
        self.steps += 1
        if self._acts and self.steps % self._actor_every == 0:
            metrics |= self.engine.actor_step(batch, self._rates)
        if self.steps % self._target_every == 0:
            self.engine.move_targets(getattr(self._config, "target_share", 1.0))
        return metrics

    def checkpoint(self) -> Checkpoint:
        """Return everything as it is now, under the names that off-policy runs have, which can go on from it."""
        arrays = {f"engine.{name}": array for name, array in self.engine.arrays().items()}
        arrays |= {f"observations.{name}": array for name, array in self.moments.arrays().items()}
        arrays |= {"parameters": self.engine.policy(), **self.standardizer.arrays()}
        counters = {"updates": self.updates, "gradient_steps": self.steps, "episodes": 0, "elapsed": self.elapsed}
        state = {**counters, "returns": [], "rng": self._rng.bit_generator.state}
        return Checkpoint(self.steps, arrays, state)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to what `checkpoint` holds. Raises Fatal for networks that learned with other statistics."""
        if checkpoint.steps:
            had = standardizes(checkpoint.arrays)
            refuse_another_scale("normalize_observations", had, self._config.normalize_observations)
        self.engine.load(_group(checkpoint, "engine."))
        self.moments.load(_group(checkpoint, "observations."))
        self.standardizer = Standardizer.load(checkpoint.arrays)
        self.steps, self.updates = checkpoint.steps, checkpoint.state["updates"]
        self.elapsed = checkpoint.state["elapsed"]
        self._rng.bit_generator.state = checkpoint.state["rng"]


def _group(checkpoint: Checkpoint, prefix: str) -> dict[str, Array]:
    arrays = checkpoint.arrays.items()
    return {name.removeprefix(prefix): array for name, array in arrays if name.startswith(prefix)}
