"""Two tanh networks by hand: both advance in one batched product per layer, and the backward pass writes in place."""

import numpy as np

from surreal.algorithms.models.byhand.network import Network
from surreal.algorithms.networks import Shape
from surreal.algorithms.types import Array

CHUNK = 1024
"""Rows of one forward pass outside the gradient: small enough to stay in the cache."""


class Pair(Network):
    """A pair of networks (networks.Shape); see Network."""

    def __init__(self, shape: Shape, vector: Array) -> None:
        """Copy the parameters `vector` [size]."""
        super().__init__(shape, vector)
        self._depth = len(shape.hidden)
        self._activations: list[Array] = []

    def estimates(self, rows: Array) -> tuple[Array, Array]:
        """See Network."""
        return self._outputs(rows, head="policy", net=0), self.values(rows)

    def values(self, rows: Array) -> Array:
        """See Network: the value's network alone."""
        return self._outputs(rows, head="value", net=1)[:, 0]

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

    def outputs(self, rows: Array) -> tuple[Array, Array]:
        """See Network. Activations are [2, batch, width], the input [1, batch, observation] first."""
        activations = [rows[None]]
        for layer in range(self._depth):
            x = np.matmul(activations[-1], self._w[f"weight{layer}"])
            x += self._w[f"bias{layer}"]
            np.tanh(x, out=x)
            activations.append(x)
        out = x[0] @ self._w["policy.weight"]
        out += self._w["policy.bias"]
        values = (x[1] @ self._w["value.weight"])[:, 0]
        values += self._w["value.bias"]
        self._activations = activations
        return out, values

    def backward(self, d_out: Array, d_values: Array) -> None:
        """See Network. The activations are used up."""
        w, g, activations = self._w, self._g, self._activations
        last, d_values = activations[-1], d_values[:, None]
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
