"""State of an off-policy run: the engine, the statistics, the counters. All of it is in a checkpoint."""

from collections.abc import Mapping

import numpy as np

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.normalizers import RunningMoments, Standardizer, refuse_another_scale, standardizes
from surreal.algorithms.offpolicy.method import Method
from surreal.algorithms.offpolicy.updates.base import Batch
from surreal.algorithms.recording.checkpoint import Checkpoint
from surreal.algorithms.replay_learning.state import ReplayState
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal

MOMENTS_EVERY = 10
"""Updates of which one tells the observation statistics: neighbours draw from nearly the same replay."""


class State(ReplayState):
    """State that learning changes."""

    def __init__(self, method: Method, spaces: Spaces, seed: int) -> None:
        super().__init__(method.config)
        self.method, self._config, self._spaces = method, method.config, spaces
        self._rng = np.random.default_rng([seed, 0])
        self.engine = method.engine(spaces, self._rng)
        self._rates, self._acts = method.rates(), method.shape(spaces).actor is not None
        self.moments = RunningMoments(spaces.observation)
        self._standardizer = Standardizer.identity(spaces.observation)

    @property
    def skipped(self) -> int:
        """See ReplayState."""
        return self.engine.skipped

    def acting(self) -> Array:
        """See ReplayState."""
        return self.engine.policy()

    def learn(self, arrays: Mapping[str, Array], weights: Array) -> tuple[Array, dict[str, float]]:
        """Make one update on a batch of replay: the critics always, the actor and the targets when they are due.

        Returns the sizes of the temporal-difference errors [batch], and metrics.
        """
        config, engine = self._config, self.engine
        batch = self._batch(arrays, weights)
        errors, metrics = engine.critic_step(batch, self._rates.critic)
        self.gradient_steps += 1
        if self._acts and self.gradient_steps % config.actor_every == 0:
            metrics |= engine.actor_step(batch, self._rates)
        if self.gradient_steps % config.target_every == 0:
            engine.move_targets(config.target_share)
        return errors, metrics

    def _batch(self, arrays: Mapping[str, Array], weights: Array) -> Batch:
        """Return what engines take: standardised observations, and the random numbers of the update."""
        observations, size, width = arrays["observations"], len(weights), self._spaces.action
        if observations.shape[1:] != (self._spaces.observation,):
            raise Fatal(
                f"replay: its observations have {observations.shape[1]} numbers, those of the environment have "
                f"{self._spaces.observation}. Remove the shards' snapshots, or give the experiment another name."
            )
        if self._config.normalize_observations and self.gradient_steps % MOMENTS_EVERY == 0:
            self.moments.update(observations)
            self._standardizer = Standardizer.of(self.moments)
        draws = (np.zeros((size, 0), dtype=np.float32), self.method.smoothing(self._rng, size, width))
        if self.method.name == "sac" and not self._spaces.discrete:
            noise = self._rng.standard_normal((2, size, width), dtype=np.float32)
            draws = noise[0], noise[1]
        return Batch(
            self._standardizer(observations),
            arrays["actions"],
            arrays["rewards"],
            arrays["discounts"],
            self._standardizer(arrays["next_observations"]),
            weights,
            *draws,
        )

    def standardizer(self) -> Standardizer:
        """Return the present observation statistics; the identity where observations are not normalized."""
        return self._standardizer

    def checkpoint(self) -> Checkpoint:
        """Return everything as it is now."""
        arrays = {f"engine.{name}": array for name, array in self.engine.arrays().items()}
        arrays |= {f"observations.{name}": array for name, array in self.moments.arrays().items()}
        arrays |= {"parameters": self.engine.policy(), **self._standardizer.arrays()}
        return Checkpoint(self.steps, arrays, {**self.counters(), "rng": self._rng.bit_generator.state})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to what `checkpoint` holds. Raises Fatal for networks that learned without the statistics wanted.

        Those that are not wanted stay as they are: of a dataset, by which the policy learned that actors go on with.
        """
        if self._config.normalize_observations and checkpoint.state["gradient_steps"]:
            refuse_another_scale("normalize_observations", standardizes(checkpoint.arrays), True)
        self.engine.load(_group(checkpoint, "engine."))
        self.moments.load(_group(checkpoint, "observations."))
        self._standardizer = Standardizer.load(checkpoint.arrays)
        self.restore_counters(checkpoint)
        self._rng.bit_generator.state = checkpoint.state["rng"]


def _group(checkpoint: Checkpoint, prefix: str) -> dict[str, Array]:
    arrays = checkpoint.arrays.items()
    return {name.removeprefix(prefix): array for name, array in arrays if name.startswith(prefix)}
