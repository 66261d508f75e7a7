"""Two tanh networks by hand, in numpy: outputs, the backward pass, and gradients through the distribution of actions.

Policy and value networks advance in one batched product per layer (networks.Shape), and the backward pass writes in
place. The derivation of each line is beside it; tests compare it with autograd.
"""

import numpy as np

from surreal.algorithms.distributions import choices_log_prob, gaussian_log_prob, log_softmax, parts
from surreal.algorithms.networks import Shape
from surreal.algorithms.types import Array

CHUNK = 1024
"""Rows of one forward pass outside the gradient: small enough to stay in the cache."""


class Pair:
    """A pair of networks and the gradient of its parameters, each in one flat vector."""

    def __init__(self, shape: Shape, vector: Array) -> None:
        """Copy the parameters `vector` [size]."""
        self.choices, self._depth = shape.spaces.choices, len(shape.hidden)
        self.vector = np.array(vector, dtype=np.float32)
        self.gradient = np.zeros_like(self.vector)
        self._w, self._g = shape.views(self.vector), shape.views(self.gradient)

    @property
    def log_std(self) -> Array:
        """Log standard deviations [action] of a Gaussian policy."""
        return self._w["log_std"]

    @property
    def log_std_gradient(self) -> Array:
        """Gradient of `log_std`, to add to."""
        return self._g["log_std"]

    def values(self, rows: Array) -> Array:
        """Return value estimates [n] of rows [n, observation]."""
        return self._outputs(rows, head="value", net=1)[:, 0]

    def policy(self, rows: Array) -> Array:
        """Return the outputs of the policy [n, outputs] for rows [n, observation]."""
        return self._outputs(rows, head="policy", net=0)

    def _outputs(self, observations: Array, head: str, net: int) -> Array:
        weight, bias = self._w[f"{head}.weight"], self._w[f"{head}.bias"]
        out = np.empty((len(observations), weight.shape[1]), dtype=np.float32)
        for start in range(0, len(observations), CHUNK):
            x = observations[start : start + CHUNK]
            for layer in range(self._depth):
                x = x @ self._w[f"weight{layer}"][net]
                x += self._w[f"bias{layer}"][net]
                np.tanh(x, out=x)
            np.matmul(x, weight, out=out[start : start + CHUNK])
        out += bias
        return out

    def forward(self, observations: Array) -> list[Array]:
        """Return the activations [2, batch, width] of every layer, the input [1, batch, observation] first."""
        activations = [observations[None]]
        for layer in range(self._depth):
            x = np.matmul(activations[-1], self._w[f"weight{layer}"])
            x += self._w[f"bias{layer}"]
            np.tanh(x, out=x)
            activations.append(x)
        return activations

    def heads(self, last: Array) -> tuple[Array, Array]:
        """Return outputs of the policy [batch, outputs] and values [batch] of the last activations of `forward`."""
        out = last[0] @ self._w["policy.weight"]
        out += self._w["policy.bias"]
        values = (last[1] @ self._w["value.weight"])[:, 0]
        values += self._w["value.bias"]
        return out, values

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

    def backward(self, activations: list[Array], d_out: Array, d_values: Array) -> None:
        """Write the gradient of every weight and bias from those of the two heads."""
        w, g, last = self._w, self._g, activations[-1]
        np.matmul(last[0].T, d_out, out=g["policy.weight"])
        np.matmul(last[1].T, d_values, out=g["value.weight"])
        d_out.sum(axis=0, out=g["policy.bias"])
        d_values.sum(axis=0, out=g["value.bias"])
        d = np.empty_like(last)
        np.matmul(d_out, w["policy.weight"].T, out=d[0])
        np.matmul(d_values, w["value.weight"].T, out=d[1])
        for layer in range(self._depth - 1, -1, -1):
            h = activations[layer + 1]
            h *= h  # d tanh = 1 - tanh^2, in place: the activation is not needed again
            np.subtract(np.float32(1.0), h, out=h)
            d *= h
            below = activations[layer]
            np.matmul(below.transpose(0, 2, 1), d, out=g[f"weight{layer}"])
            d.sum(axis=1, keepdims=True, out=g[f"bias{layer}"])
            if layer:
                d = np.matmul(d, w[f"weight{layer}"].transpose(0, 2, 1))
