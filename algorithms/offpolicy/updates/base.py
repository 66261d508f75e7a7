"""One interface of all engines: a step of the critics, a step of the actor, targets that follow."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import Self

import numpy as np

from surreal.algorithms.types import Array


@dataclass(frozen=True)
class Batch:
    """Transitions of one update, all [batch, ...], and the random numbers it needs: engines draw none themselves."""

    observations: Array
    """Standardised, as are next_observations."""
    actions: Array
    """float32 within +-1 [batch, action], or choices int64 [batch]."""
    rewards: Array
    """Discounted sums of the rewards of n steps."""
    discounts: Array
    """gamma^n; 0 where the episode was terminated within. A truncated one is bootstrapped."""
    next_observations: Array
    weights: Array
    """Importance weights of the sampling."""
    noise: Array = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    """Standard normal draws [batch, action] for actions of the present policy at `observations`."""
    next_noise: Array = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    """Draws [batch, action] for the actions at `next_observations`: normal, or the target's smoothing noise."""

    def part(self, rows: slice) -> Self:
        """Return views of some of the rows."""
        return type(self)(*(getattr(self, column.name)[rows] for column in fields(self)))


@dataclass(frozen=True)
class Rates:
    """Step sizes of one update."""

    actor: float
    critic: float
    temperature: float = 0.0


@dataclass(frozen=True)
class Settings:
    """Settings that every engine has."""

    target_actor: bool = False
    """Next actions come from a slowly following copy of the actor."""
    huber: bool = False
    """Errors beyond 1 count linearly (Mnih et al. 2015)."""
    double: bool = True
    """Values of choices: the present network chooses, the target network judges (van Hasselt et al. 2016)."""
    temperature: float = 1.0
    """Weight of the entropy at the start."""
    target_entropy: float | None = None
    """Entropy that the temperature is learned to reach; None keeps the temperature."""
    max_grad_norm: float | None = None
    """Largest norm of the gradient of the actor, and of all critics together."""


class Engine(ABC):
    """Parameters, optimizers and target networks of a learner. Not thread-safe."""

    skipped: int = 0
    """Steps that were not taken since their gradient was not finite."""

    @abstractmethod
    def critic_step(self, batch: Batch, rate: float) -> tuple[Array, dict[str, float]]:
        """Take a step of the critics. Returns the sizes of the temporal-difference errors [batch], and metrics."""

    @abstractmethod
    def actor_step(self, batch: Batch, rates: Rates) -> dict[str, float]:
        """Take a step of the actor, and of the temperature where there is one. Returns metrics."""

    @abstractmethod
    def move_targets(self, share: float) -> None:
        """Move the target networks by `share` of the way to the present ones; 1 copies them."""

    @abstractmethod
    def policy(self) -> Array:
        """Return a copy of the parameters of the network that acts."""

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """Return everything that a checkpoint needs."""

    @abstractmethod
    def load(self, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""
