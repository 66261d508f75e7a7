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


def centred_ranks(returns: Array) -> Array:
    """Return ranks from -0.5 (worst) to 0.5 (best); equal returns share the mean of their ranks.

    That is Salimans et al. 2017, sec. 2.1, there without ties: a population of equals must not move the policy.
    """
    if returns.size < 2:
        return np.zeros(returns.shape)
    _, inverse, counts = np.unique(returns, return_inverse=True, return_counts=True)
    first = np.cumsum(counts) - counts
    ranks = first + (counts - 1) / 2
    return np.asarray(ranks[inverse].reshape(returns.shape) / (returns.size - 1) - 0.5)


def es_weights(returns: Array) -> Array:
    """Return the weight [pairs] of each perturbation in the gradient of the mean centred rank: (u+ - u-) / 2n.

    That is eq. 1 of Salimans et al. 2017 with mirrored sampling, without its factor 1/sigma, as in their code.
    """
    ranks = centred_ranks(returns)
    return np.asarray((ranks[:, 0] - ranks[:, 1]) / returns.size)


def ars_weights(returns: Array, top: int, learning_rate: float) -> Array:
    """Return the weight [pairs] of each direction in ARS's step.

    It is alpha / (b sigma_R) (r+ - r-) for the b = `top` directions with the largest max(r+, r-), else 0
    (Mania et al. 2018, algorithm 2, lines 6 and 7).

    sigma_R is the standard deviation of the 2b returns used; where it is 0 nothing is better than anything else.
    """
    kept = np.argsort(-returns.max(axis=1), kind="stable")[:top]
    used = returns[kept]
    weights, spread = np.zeros(len(returns)), used.std()
    if spread > 0:
        weights[kept] = learning_rate / (len(kept) * spread) * (used[:, 0] - used[:, 1])
    return weights


def grown_cap(cap: int, lengths: Array, threshold: float, growth: float, largest: int) -> int:
    """Return the next generation's cap on episodes: larger where the share of `lengths` that reached `cap` was."""
    if len(lengths) and (lengths >= cap).mean() >= threshold:
        return min(largest, int(np.ceil(cap * growth)))
    return cap
