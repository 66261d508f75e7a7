"""Dense layers by hand, in numpy: relu or tanh after each but a plain last one."""

from collections.abc import Mapping

import numpy as np

from surreal.algorithms.models.blocks import Dense
from surreal.algorithms.types import Array

SLOPES = ("relu", "tanh")
"""Activations whose slope follows from their value."""


class Chain:
    """Layers of a `blocks.Dense` without normalisation, with the gradient of their parameters."""

    def __init__(self, dense: Dense, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        """Take views of the parameters, and of where their gradients go, by name."""
        self._layers = [
            (weights[f"{one}.weight"], weights[f"{one}.bias"], gradients[f"{one}.weight"], gradients[f"{one}.bias"])
            for one in dense.names
        ]
        self._depth, self._relu = dense.depth, dense.activation == "relu"

    def forward(self, x: Array) -> list[Array]:
        """Return `x` [n, inputs] and the outputs [n, width] of each layer."""
        found = [x]
        for number, (weight, bias, _, _) in enumerate(self._layers):
            y = found[-1] @ weight.T
            y += bias
            if number < self._depth:
                np.maximum(y, np.float32(0), out=y) if self._relu else np.tanh(y, out=y)
            found.append(y)
        return found

    def backward(self, found: list[Array], d: Array, below: Array | None = None) -> Array:
        """Write the gradients of all layers, from `d` [n, width] of the last outputs in `found`. Return that of `x`.

        It is written to `below` [n, inputs], a new array by default; `d` is used up.
        """
        for number in range(len(self._layers) - 1, -1, -1):
            weight, _, d_weight, d_bias = self._layers[number]
            if number < self._depth:
                y = found[number + 1]
                # d relu = 1[y > 0], d tanh = 1 - tanh^2
                d *= (y > 0) if self._relu else np.float32(1) - y * y
            np.matmul(d.T, found[number], out=d_weight)
            d.sum(axis=0, out=d_bias)
            d = np.matmul(d, weight, out=None if number else below)
        return d
