"""Networks by hand, in numpy: outputs, the backward pass, and gradients through the distribution of actions.

The derivation of each line is beside it; tests compare all of them with autograd.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from surreal.algorithms.distributions import choices_log_prob, gaussian_log_prob, log_softmax, parts
from surreal.algorithms.networks import Layout
from surreal.algorithms.types import Array


class Network(ABC):
    """Policy and value, their parameters and the gradient of these, each in one flat vector."""

    adam: Callable[..., bool] | None = None
    """Compiled loop for `Adam.step_by`, once `outputs` was called; None where numpy is to step."""

    def __init__(self, layout: Layout, vector: Array) -> None:
        """Copy the parameters `vector` [size]."""
        self.choices = layout.spaces.choices
        self.vector = np.array(vector, dtype=np.float32)
        self.gradient = np.zeros_like(self.vector)
        self._w, self._g = layout.views(self.vector), layout.views(self.gradient)

    @abstractmethod
    def outputs(self, rows: Any) -> tuple[Array, Array]:
        """Return outputs of the policy [n, outputs] and values [n] of rows [n, ...], and keep what `backward` needs."""

    @abstractmethod
    def backward(self, d_out: Array, d_values: Array) -> None:
        """Write the gradient of all but log_std, from those of what the last `outputs` returned."""

    @abstractmethod
    def estimates(self, rows: Any) -> tuple[Array, Array]:
        """Return what `outputs` does of any number of rows, without a backward pass to come."""

    def values(self, rows: Any) -> Array:
        """Return the values [n] alone."""
        return self.estimates(rows)[1]

    @property
    def log_std(self) -> Array:
        """Log standard deviations [action] of a Gaussian policy."""
        return self._w["log_std"]

    @property
    def log_std_gradient(self) -> Array:
        """Gradient of `log_std`, to add to."""
        return self._g["log_std"]

    def log_prob(self, out: Array, actions: Array) -> Array:
        """Return the log-probability [batch] of `actions` under the outputs of the policy."""
        if self.choices:
            return choices_log_prob(out, actions, self.choices)
        return gaussian_log_prob(out, self._w["log_std"], actions)

    def through_distribution(self, out: Array, actions: Array, slope: Array, bonus: float) -> tuple[Array, float]:
        """Return d log p / d out times `slope` [batch], less the entropy bonus; and the mean entropy.

        Writes the gradient of log_std. `bonus` is the weight of the mean entropy.
        """
        if self.choices:
            return self._through_choices(out, actions, slope, np.float32(bonus))
        log_std = self._w["log_std"]
        inverse = np.exp(-log_std)
        z = (actions - out) * inverse
        d_out = slope[:, None] * z  # d log p / d mean = z / std;  d log p / d log_std = z^2 - 1
        self._g["log_std"][:] = np.einsum("ba,ba->a", d_out, z) - slope.sum() - np.float32(bonus)  # dH / d log_std = 1
        d_out *= inverse
        return d_out, float(log_std.sum() + 0.5 * len(log_std) * np.log(2 * np.pi * np.e))

    def _through_choices(self, out: Array, actions: Array, slope: Array, bonus: np.float32) -> tuple[Array, float]:
        """Return what `through_distribution` does for choices, whose parts are independent."""
        d_out, entropy, rows, start = np.empty_like(out), 0.0, len(out), 0
        for logits, choice in parts(out, actions, self.choices):
            log_p = log_softmax(logits)
            p = np.exp(log_p)
            entropies = -(p * log_p).sum(axis=-1, keepdims=True)
            d_part = -p * slope[:, None]  # d log p_a / d logit_j = 1[j = a] - p_j
            d_part[np.arange(rows), choice] += slope
            if bonus:
                d_part += p * (log_p + entropies) * (bonus / rows)  # dH / d logit_j = -p_j (log p_j + H)
            d_out[:, start : start + p.shape[1]] = d_part
            start += p.shape[1]
            entropy += float(entropies.mean())
        return d_out, entropy
