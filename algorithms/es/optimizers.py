"""Optimizers that follow ES's gradient estimate uphill: one float32 vector, state that a checkpoint can hold."""

from typing import Protocol

import numpy as np

from surreal.algorithms.es.config import ESConfig
from surreal.algorithms.types import Array


class Optimizer(Protocol):
    """Turns gradients into steps."""

    def step(self, gradient: Array) -> Array:
        """Return what to add to the parameters."""

    def arrays(self) -> dict[str, Array]:
        """Return everything `load` needs."""

    def load(self, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""


class Adam:
    """Adam (Kingma and Ba 2015) with its usual decays."""

    def __init__(self, size: int, learning_rate: float) -> None:
        self._learning_rate, self._steps = learning_rate, 0
        self._first, self._second = np.zeros(size, dtype=np.float32), np.zeros(size, dtype=np.float32)

    def step(self, gradient: Array) -> Array:
        """Return what to add to the parameters."""
        self._steps += 1
        self._first += np.float32(0.1) * (gradient - self._first)
        self._second += np.float32(0.001) * (gradient * gradient - self._second)
        rate = self._learning_rate * np.sqrt(1 - 0.999**self._steps) / (1 - 0.9**self._steps)
        return np.asarray(np.float32(rate) * self._first / (np.sqrt(self._second) + np.float32(1e-8)))

    def arrays(self) -> dict[str, Array]:
        """Return everything `load` needs."""
        return {"first": self._first, "second": self._second, "steps": np.array([self._steps])}

    def load(self, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""
        self._first, self._second = arrays["first"].copy(), arrays["second"].copy()
        self._steps = int(arrays["steps"][0])


class Momentum:
    """Gradient ascent along a running mean of the gradients."""

    def __init__(self, size: int, learning_rate: float, momentum: float) -> None:
        self._learning_rate, self._momentum = np.float32(learning_rate), np.float32(momentum)
        self._velocity: Array = np.zeros(size, dtype=np.float32)

    def step(self, gradient: Array) -> Array:
        """Return what to add to the parameters."""
        self._velocity = self._momentum * self._velocity + (1 - self._momentum) * gradient
        return np.asarray(self._learning_rate * self._velocity)

    def arrays(self) -> dict[str, Array]:
        """Return everything `load` needs."""
        return {"velocity": self._velocity}

    def load(self, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""
        self._velocity = arrays["velocity"].copy()


def make_optimizer(config: ESConfig, size: int) -> Optimizer:
    """Return the optimizer that the config names, for `size` parameters."""
    if config.optimizer == "adam":
        return Adam(size, config.learning_rate)
    return Momentum(size, config.learning_rate, config.momentum)
