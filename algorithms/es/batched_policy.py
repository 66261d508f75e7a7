"""Many deterministic policies of one shape, evaluated together: one batched product per layer.

The parameters of policy p are row p of one matrix; a layer's weights are a strided view [policies, in, out] of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from surreal.algorithms.computation.graph import Computation
from surreal.algorithms.distributions import masked
from surreal.algorithms.environments.actions import chosen
from surreal.algorithms.environments.spaces import Spaces, View
from surreal.algorithms.networks import orthogonal
from surreal.algorithms.types import Array, Bool

if TYPE_CHECKING:
    from surreal.algorithms.environments.environment import Environment
    from surreal.algorithms.es.config import AnyConfig


def check(config: "AnyConfig", make: "Callable[[View], Environment]") -> Iterator[tuple[str, str]]:
    """Yield nothing; raise Fatal for an environment without a vector of features. See `Algorithm.check`."""
    make("features")
    yield from ()


@dataclass(frozen=True)
class Layout:
    """Layout of a policy's parameters in one vector: for each layer its weights [in, out], then its bias [out]."""

    spaces: Spaces
    hidden: tuple[int, ...]
    biased: bool

    @classmethod
    def of(cls, config: "AnyConfig", spaces: Spaces) -> "Layout":
        """Return the layout of the config: ES has tanh layers with biases; ARS a matrix, as in the paper."""
        # a policy that acts needs no settings of a training
        from surreal.algorithms.es.config import ESConfig

        if isinstance(config, ESConfig):
            return cls(spaces, tuple(config.hidden), True)
        return cls(spaces, (), False)

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of all layers, from the observation to the action."""
        return (self.spaces.observation, *self.hidden, self.spaces.action)

    @property
    def size(self) -> int:
        """Length of the parameter vector."""
        return sum((into + self.biased) * out for into, out in zip(self.widths, self.widths[1:], strict=False))

    def layers(self, matrix: Array) -> list[tuple[Array, Array | None]]:
        """Return views on `matrix` [policies, size]: (weights [policies, in, out], bias [policies, 1, out] or None)."""
        layers, start, rows = [], 0, len(matrix)
        for into, out in zip(self.widths, self.widths[1:], strict=False):
            weight = matrix[:, start : start + into * out].reshape(rows, into, out)
            start += into * out
            bias = matrix[:, start : start + out].reshape(rows, 1, out) if self.biased else None
            start += out * self.biased
            layers.append((weight, bias))
        return layers

    def initial(self, rng: np.random.Generator) -> Array:
        """Return orthogonal hidden layers (gain sqrt 2) and a head of nearly zero; a linear policy is all zeros."""
        vector = np.zeros((1, self.size), dtype=np.float32)
        layers = self.layers(vector)
        for number, (weight, _) in enumerate(layers if self.hidden else ()):
            gain = 0.01 if number == len(layers) - 1 else sqrt(2)
            weight[0] = gain * orthogonal(rng, *weight.shape[1:])
        return np.asarray(vector[0])


class Policies:
    """`count` policies of one layout."""

    def __init__(self, layout: Layout, count: int) -> None:
        self.parameters = np.zeros((count, layout.size), dtype=np.float32)
        """[count, size]: write a row to change a policy."""
        self._layers = layout.layers(self.parameters)
        self._choices = layout.spaces.choices

    def act(self, observations: Array, masks: Bool | None = None) -> Array:
        """Return each policy's action on its own row of normalized observations [count, observation].

        An action is the output [count, action], or the choices with the largest ones, of those that `masks`
        [count, all choices] allow.
        """
        x = observations[:, None, :]
        for number, (weight, bias) in enumerate(self._layers):
            x = np.matmul(x, weight)
            if bias is not None:
                x += bias
            if number < len(self._layers) - 1:
                np.tanh(x, out=x)
        return chosen(masked(x[:, 0], masks), self._choices) if self._choices else x[:, 0]

    def symbolic(self, graph: Computation, rows: str, state: str) -> tuple[str, str]:
        """Add the first policy to a graph. Return the names of its outputs [n, action], and of `state`."""
        for number, (weight, bias) in enumerate(self._layers):
            rows = graph.dense(rows, weight[0], None if bias is None else bias[0])
            if number < len(self._layers) - 1:
                rows = graph.add("Tanh", rows)
        return rows, state
