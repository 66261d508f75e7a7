"""Parts of networks: dense layers and convolutions, each as numpy for acting and as torch for learning.

A block names its parameters (`parts`); their values come from outside, as arrays or tensors by name. Weights lie as
torch has them: [out, in], [out, in, height, width].
"""

from collections.abc import Callable, Mapping
from math import prod, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from surreal.algorithms.computation.graph import Computation
from surreal.algorithms.networks import orthogonal
from surreal.algorithms.types import Array

if TYPE_CHECKING:
    from torch import Tensor

Forward = Callable[[Any], Array]
"""Numpy function of rows [n, ...] to outputs [n, width]."""
NORM_EPSILON = 1e-5


class Part(NamedTuple):
    """Array of parameters: how large it is and how it begins."""

    shape: tuple[int, ...]
    gain: float = 0.0
    """Gain of an orthogonal weight; 0 for a bias."""
    inputs: int = 1
    """Inputs of a unit, which torch's own initialisation depends on."""
    ones: bool = False
    """True for the scale of a normalisation."""
    raised: tuple[int, int, float] = (0, 0, 0.0)
    """Entries of a bias that begin higher than the rest: the first, the one after the last, and by how much."""


class Block(Protocol):
    """Function with named parameters."""

    parts: dict[str, Part]
    width: int
    """Outputs of a row."""

    def acting(self, views: Mapping[str, Array]) -> Forward:
        """Return the function in numpy, with what can be computed of the parameters beforehand."""

    def torch(self, tensors: Mapping[str, "Tensor"], x: Any) -> "Tensor":
        """Return the outputs [n, width] of rows [n, ...]."""

    def symbolic(self, graph: Computation, views: Mapping[str, Array], x: Any) -> str:
        """Add the function to a graph. Return the name of its outputs [n, width]."""


def initial(parts: Mapping[str, Part], rng: np.random.Generator, how: str) -> dict[str, Array]:
    """Return float32 parameters: `orthogonal` (Saxe et al. 2014) with zero biases, or torch's `default`.

    The default is uniform within 1 / sqrt(inputs) for weights and biases (He et al. 2015 with torch's constants).
    """
    arrays = {}
    for name, part in parts.items():
        if part.ones:
            array = np.ones(part.shape)
        elif how == "default":
            array = rng.uniform(-1, 1, part.shape) / sqrt(part.inputs)
        elif part.gain:
            array = part.gain * orthogonal(rng, part.shape[0], prod(part.shape[1:])).reshape(part.shape)
        else:
            array = np.zeros(part.shape)
        begin, end, by = part.raised
        array[begin:end] += by
        arrays[name] = array.astype(np.float32)
    return arrays


class Dense:
    """Dense layers, each followed by an activation, and by a plain layer of `out` units where that is given."""

    def __init__(
        self,
        name: str,
        inputs: int,
        widths: list[int],
        activation: str,
        norm: bool = False,
        out: int = 0,
        gain: float = 1.0,
    ) -> None:
        """Name the layers `name`.0, `name`.1, ...; `gain` is the last one's where `out` is given."""
        self.activation, self.norm = activation, norm
        self._features = widths[-1] if widths else inputs
        self.width = out or self._features
        self.parts: dict[str, Part] = {}
        self.names = [f"{name}.{layer}" for layer in range(len(widths) + bool(out))]
        self.depth = len(widths)
        sizes = (inputs, *widths, *([out] if out else []))
        for layer, (one, into, to) in enumerate(zip(self.names, sizes, sizes[1:], strict=False)):
            self.parts[f"{one}.weight"] = Part((to, into), gain if layer == len(widths) else sqrt(2), into)
            self.parts[f"{one}.bias"] = Part((to,), inputs=into)
            if norm and layer < len(widths):
                self.parts[f"{one}.norm.weight"] = Part((to,), ones=True)
                self.parts[f"{one}.norm.bias"] = Part((to,), inputs=0)

    @property
    def features(self) -> int:
        """Outputs of the last layer with an activation, the inputs of the plain one."""
        return self._features

    def acting(self, views: Mapping[str, Array]) -> Forward:
        """See Block."""
        inner, last = self.acting_inside(views), self.acting_last(views)
        return lambda x: last(inner(x))

    def acting_last(self, views: Mapping[str, Array]) -> Forward:
        """Return the function of the plain layer, that of features; the identity where there is none."""
        layers = [(views[f"{one}.weight"].T, views[f"{one}.bias"]) for one in self.names[self.depth :]]

        def forward(x: Array) -> Array:
            for weight, bias in layers:
                x = x @ weight
                x += bias
            return x

        return forward

    def acting_inside(self, views: Mapping[str, Array]) -> Forward:
        """Return the function of the layers with an activation, whose outputs are the features."""
        layers = [(views[f"{one}.weight"].T, views[f"{one}.bias"]) for one in self.names[: self.depth]]
        normed = self.names[: self.depth] if self.norm else []
        norms = [(views[f"{one}.norm.weight"], views[f"{one}.norm.bias"]) for one in normed]
        function = ACTIVATIONS[self.activation]

        def forward(x: Array) -> Array:
            for layer, (weight, bias) in enumerate(layers):
                x = x @ weight
                x += bias
                x = function(_normed(x, *norms[layer]) if self.norm else x)
            return x

        return forward

    def torch(self, tensors: Mapping[str, "Tensor"], x: Any) -> "Tensor":
        """See Block."""
        return self.torch_last(tensors, self.torch_inside(tensors, x))

    def torch_last(self, tensors: Mapping[str, "Tensor"], x: Any) -> "Tensor":
        """Return the outputs of the plain layer; `x` itself where there is none."""
        from torch.nn import functional

        for one in self.names[self.depth :]:
            x = functional.linear(x, tensors[f"{one}.weight"], tensors[f"{one}.bias"])
        found: Tensor = x
        return found

    def torch_inside(self, tensors: Mapping[str, "Tensor"], x: Any) -> "Tensor":
        """Return the features [n, features] of rows."""
        from torch.nn import functional

        for one in self.names[: self.depth]:
            x = functional.linear(x, tensors[f"{one}.weight"], tensors[f"{one}.bias"])
            if self.norm:
                scale, shift = tensors[f"{one}.norm.weight"], tensors[f"{one}.norm.bias"]
                x = functional.layer_norm(x, (x.shape[-1],), scale, shift, NORM_EPSILON)
            x = getattr(functional, self.activation)(x)
        found: Tensor = x
        return found

    def symbolic(self, graph: Computation, views: Mapping[str, Array], x: str) -> str:
        """See Block."""
        for layer, one in enumerate(self.names):
            x = graph.dense(x, views[f"{one}.weight"].T, views[f"{one}.bias"])
            if layer < self.depth:
                if self.norm:
                    x = graph.normed(x, views[f"{one}.norm.weight"], views[f"{one}.norm.bias"], NORM_EPSILON)
                x = _activated(graph, self.activation, x)
        return x


def _activated(graph: Computation, activation: str, x: str) -> str:
    if activation == "silu":
        return graph.add("Mul", x, graph.add("Sigmoid", x))
    return graph.add(activation.capitalize(), x)


def _normed(x: Array, scale: Array, shift: Array) -> Array:
    x = x - x.mean(axis=-1, keepdims=True)
    x /= np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(NORM_EPSILON))
    x *= scale
    x += shift
    return x


def _tanh(x: Array) -> Array:
    return np.tanh(x, out=x)


def _relu(x: Array) -> Array:
    return np.maximum(x, np.float32(0), out=x)


def _silu(x: Array) -> Array:
    x *= sigmoid(x)
    return x


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)) in a new array, by tanh, which no x makes overflow."""
    y = np.tanh(np.float32(0.5) * x)
    y *= np.float32(0.5)
    y += np.float32(0.5)
    return np.asarray(y)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"tanh": _tanh, "relu": _relu, "silu": _silu}
"""In place: the argument is a new array each time."""
