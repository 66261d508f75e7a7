"""State of a run that learns from replay: its counters, and what its algorithm makes of a batch."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.recording.checkpoint import Checkpoint
from surreal.algorithms.replay.config import ReplayConfig
from surreal.algorithms.types import Array


class ReplayedConfig(Protocol):
    """Settings that every algorithm on replay has."""

    @property
    def total_steps(self) -> int:
        """Environment steps after which the run is done."""

    @property
    def stop_at_return(self) -> float | None:
        """Mean return at which the run is done."""

    @property
    def return_window(self) -> int:
        """Episodes of that mean."""

    @property
    def weights_every(self) -> int:
        """Updates between two versions of the weights."""

    @property
    def replay(self) -> ReplayConfig:
        """Settings of the replay role."""


class ReplayState(ABC):
    """State that learning changes. Counters are here, the rest is the algorithm's."""

    def __init__(self, config: ReplayedConfig) -> None:
        self._limits = config
        self.steps = self.updates = self.gradient_steps = self.episodes = 0
        self.elapsed = 0.0
        self.returns: deque[float] = deque(maxlen=config.return_window)

    @property
    @abstractmethod
    def skipped(self) -> int:
        """Steps that were not taken since their gradient was not finite."""

    @abstractmethod
    def learn(self, arrays: Mapping[str, Array], weights: Array) -> tuple[Array, dict[str, float]]:
        """Make one update on a batch of replay. Return the items' errors [batch], and metrics."""

    @abstractmethod
    def acting(self) -> Array:
        """Return a copy of the parameters [size] of the network that acts."""

    @abstractmethod
    def standardizer(self) -> Standardizer:
        """Return the observation statistics that belong to them."""

    @abstractmethod
    def checkpoint(self) -> Checkpoint:
        """Return everything as it is now."""

    @abstractmethod
    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to what `checkpoint` holds."""

    def take_episodes(self, returns: Array) -> None:
        """Take in the returns of episodes that ended."""
        self.returns.extend(returns.tolist())
        self.episodes += len(returns)

    def mean_return(self) -> float | None:
        """Return the mean training return of the last episodes; None before one ended."""
        return float(np.mean(self.returns)) if self.returns else None

    def done(self) -> bool:
        """Return True once all steps are taken, or the return is reached that the experiment stops at."""
        goal, mean = self._limits.stop_at_return, self.mean_return()
        reached = goal is not None and len(self.returns) == self.returns.maxlen and mean is not None and mean >= goal
        return self.steps >= self._limits.total_steps or reached

    def counters(self) -> dict[str, Any]:
        """Return the counters of a checkpoint, as JSON."""
        return {
            "updates": self.updates,
            "gradient_steps": self.gradient_steps,
            "episodes": self.episodes,
            "elapsed": self.elapsed,
            "returns": list(self.returns),
        }

    def restore_counters(self, checkpoint: Checkpoint) -> None:
        """Take over the counters of a checkpoint."""
        state: Mapping[str, Any] = checkpoint.state
        self.steps, self.updates, self.gradient_steps = checkpoint.steps, state["updates"], state["gradient_steps"]
        self.episodes, self.elapsed = state["episodes"], state["elapsed"]
        self.returns.extend(state["returns"])
