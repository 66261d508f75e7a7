"""Multilayer perceptrons by hand: ReLU layers, optional layer norm, gradients written out, one flat vector each.

The autograd engine differentiates the same layouts with torch; tests hold the two to each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import NamedTuple

import numpy as np

from surreal.algorithms.computation.graph import Computation
from surreal.algorithms.networks import FlatLayout
from surreal.algorithms.offpolicy.loops import NUMPY, Loops, Passes
from surreal.algorithms.types import Array

NONE = np.zeros(0, dtype=np.float32)
"""No sums are wanted."""
EPSILON = np.float32(1e-5)
"""Constant below the square root of a layer norm, as torch has it."""


@dataclass(frozen=True)
class Layout(FlatLayout):
    """Layout of one network in a vector: for each layer its weights [in, out] and bias [out], in order."""

    widths: tuple[int, ...]
    """Widths of all layers, from the input to the output."""
    normed: bool = False
    """A layer norm (Ba et al. 2016) stands between each hidden layer's product and its ReLU."""

    @cached_property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every part, in the order they lie in the vector."""
        parts: dict[str, tuple[int, ...]] = {}
        for layer, (into, out) in enumerate(zip(self.widths, self.widths[1:], strict=False)):
            parts[f"weight{layer}"], parts[f"bias{layer}"] = (into, out), (out,)
            if self.normed and layer < self.depth:
                parts[f"gain{layer}"], parts[f"shift{layer}"] = (out,), (out,)
        return parts

    @property
    def depth(self) -> int:
        """Number of hidden layers."""
        return len(self.widths) - 2

    def initial(self, rng: np.random.Generator, head: float = 1.0) -> Array:
        """Return weights and biases uniform within +-1 / sqrt(inputs), those of the last layer times `head`."""
        vector = np.zeros(self.size, dtype=np.float32)
        for name, part in self.views(vector).items():
            if name.startswith("gain"):
                part[:] = 1.0
            elif not name.startswith("shift"):
                layer = int(name.removeprefix("weight").removeprefix("bias"))
                bound = (head if layer == self.depth else 1.0) / sqrt(self.widths[layer])
                part[:] = rng.uniform(-bound, bound, part.shape)
        return vector


class Gradients(NamedTuple):
    """Place of the gradients of one network: a vector [size], and its views by name."""

    vector: Array
    parts: dict[str, Array]


class Tape:
    """Values of one forward pass that its backward pass needs."""

    def __init__(self) -> None:
        self.inputs: list[Array] = []
        """Input of every layer [rows, width]; of a compiled pass that of the first alone."""
        self.hidden, self.widths = NONE, tuple[int, ...]()
        """Outputs of the hidden layers of a compiled pass, one after another, and their widths."""
        self.normed: list[tuple[Array, Array]] = []
        """Standardised products and inverse deviations of the layer norms."""

    def rows(self, index: Array) -> "Tape":
        """Return the values of some rows only."""
        # take copies row by row, in half the time of an index
        part, count = Tape(), len(index)
        part.inputs = [x.take(index, axis=0) for x in self.inputs]
        part.normed = [(x.take(index, axis=0), inverse[index]) for x, inverse in self.normed]
        part.hidden, part.widths = np.empty(count * sum(self.widths), dtype=np.float32), self.widths
        own = layers(part.hidden, count, self.widths)
        for x, rows in zip(layers(self.hidden, len(self.inputs[0]), self.widths), own, strict=True):
            x.take(index, axis=0, out=rows, mode="clip")
        return part


class Network:
    """One network whose parameters and gradients lie in vectors of the caller's."""

    def __init__(self, layout: Layout, vector: Array, loops: Loops = NUMPY) -> None:
        """Read the parameters from `vector` [size], which others may change."""
        self.layout, self._loops = layout, loops
        self.vector = vector
        self._w = layout.views(vector)
        self._passes = None if layout.normed else loops.passes
        self._widths, self._hidden = np.array(layout.widths), sum(layout.widths[1:-1])

    def __call__(self, x: Array, tape: Tape | None = None) -> Array:
        """Return the outputs [rows, out] of the inputs [rows, in]; `tape` keeps what `backward` needs."""
        w, depth = self._w, self.layout.depth
        tape = tape or Tape()
        if self._passes:
            return self._forward(self._passes, np.ascontiguousarray(x), tape)
        for layer in range(depth + 1):
            tape.inputs.append(x)
            x = x @ w[f"weight{layer}"]
            if layer < depth and not self.layout.normed:
                self._loops.biased_relu(x, w[f"bias{layer}"])
                continue
            x += w[f"bias{layer}"]
            if layer < depth:
                x = self._norm(x, layer, tape)
                np.maximum(x, np.float32(0.0), out=x)
        return x

    def _forward(self, passes: Passes, x: Array, tape: Tape) -> Array:
        """Return the outputs by one compiled pass, which the tape keeps the hidden layers of."""
        rows, widths = len(x), self.layout.widths
        tape.inputs, tape.widths = [x], widths[1:-1]
        tape.hidden, out = np.empty(rows * self._hidden, np.float32), np.empty((rows, widths[-1]), np.float32)
        passes.forward(self.vector, self._widths, x, tape.hidden, out)
        return out

    def symbolic(self, graph: Computation, x: str) -> str:
        """Add the network to a graph. Return the name of its outputs."""
        w, depth = self._w, self.layout.depth
        for layer in range(depth + 1):
            x = graph.dense(x, w[f"weight{layer}"], w[f"bias{layer}"])
            if layer < depth:
                if self.layout.normed:
                    x = graph.normed(x, w[f"gain{layer}"], w[f"shift{layer}"], float(EPSILON))
                x = graph.add("Relu", x)
        return x

    def _norm(self, x: Array, layer: int, tape: Tape) -> Array:
        """Return layer norm: x_hat = (x - mean) / sqrt(variance + eps), times gain, plus shift."""
        n = np.float32(1.0 / x.shape[1])
        x -= x.sum(axis=1, keepdims=True) * n
        inverse = 1 / np.sqrt(np.einsum("ij,ij->i", x, x)[:, None] * n + EPSILON)
        x *= inverse
        tape.normed.append((x, inverse))
        y = x * self._w[f"gain{layer}"]
        y += self._w[f"shift{layer}"]
        return np.asarray(y)

    def backward(self, tape: Tape, d: Array, grads: Gradients | None, to_input: bool = False) -> Array:
        """Write the gradients of all parts to `grads` (None: of none) from d loss / d output, `d` [rows, out].

        Returns d loss / d input [rows, in] with `to_input`, else an empty array. `d` and the tape are used up.
        """
        depth, normed, parts = self.layout.depth, self.layout.normed, grads.parts if grads else None
        if self._passes:
            return self._backward(self._passes, tape, d, grads, to_input)
        for layer in range(depth, -1, -1):
            if layer < depth and normed:
                d = self._through_norm(tape, layer, d, parts)
            if parts is not None:
                if layer == depth or normed:
                    np.sum(d, axis=0, out=parts[f"bias{layer}"])
                np.matmul(tape.inputs[layer].T, d, out=parts[f"weight{layer}"])
            if layer or to_input:
                d = self._below(layer, tape, d, parts)
        return d if to_input else NONE

    def _below(self, layer: int, tape: Tape, d: Array, parts: dict[str, Array] | None) -> Array:
        """Return the gradient below a layer and, where there is no layer norm, below the ReLU of its inputs."""
        weight, y = self._w[f"weight{layer}"].T, tape.inputs[layer]
        through = layer > 0 and not self.layout.normed
        sums = parts[f"bias{layer - 1}"] if through and parts is not None else NONE
        # BLAS is slow at an outer product, which it is where there is one output.
        if through and len(weight) == 1:
            below = np.empty(y.shape, dtype=np.float32)
            self._loops.spread_through_relu(np.ascontiguousarray(d[:, 0]), weight[0], y, below, sums)
            return below
        d = d * weight if len(weight) == 1 else d @ weight
        if through:
            self._loops.through_relu(d, y, sums)
        return d

    def _backward(self, passes: Passes, tape: Tape, d: Array, grads: Gradients | None, to_input: bool) -> Array:
        """Write the gradients as `backward` does, in one compiled pass."""
        out = np.empty(tape.inputs[0].shape if to_input else (0, 0), dtype=np.float32)
        vector, d = grads.vector if grads else NONE, np.ascontiguousarray(d)
        passes.backward(self.vector, self._widths, tape.inputs[0], tape.hidden, d, vector, out)
        return out

    def _through_norm(self, tape: Tape, layer: int, d: Array, grads: dict[str, Array] | None) -> Array:
        """Return the gradient before a layer norm, from the one behind its ReLU."""
        self._loops.through_relu(d, tape.inputs[layer + 1], NONE)
        x, inverse = tape.normed[layer]
        if grads is not None:
            np.einsum("ij,ij->j", d, x, out=grads[f"gain{layer}"])
            np.sum(d, axis=0, out=grads[f"shift{layer}"])
        # dx = (d' - mean(d') - x_hat mean(d' x_hat)) / deviation, with d' = d * gain
        d *= self._w[f"gain{layer}"]
        n = np.float32(1.0 / d.shape[1])
        mean, slope = d.sum(axis=1, keepdims=True) * n, np.einsum("ij,ij->i", d, x)[:, None] * n
        d -= mean
        d -= x * slope
        d *= inverse
        return d


def layers(hidden: Array, rows: int, widths: Sequence[int]) -> list[Array]:
    """Return the views [rows, width] of layers whose outputs lie one after another in `hidden`."""
    edges = [rows * sum(widths[:layer]) for layer in range(len(widths) + 1)]
    return [hidden[edges[n] : edges[n + 1]].reshape(rows, width) for n, width in enumerate(widths)]


def split(layout: Layout, vector: Array) -> Iterator[Array]:
    """Yield the parts [size] of a vector that holds several networks of one layout."""
    for start in range(0, len(vector), layout.size):
        yield vector[start : start + layout.size]
