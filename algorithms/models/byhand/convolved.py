"""A small convolutional network by hand: one convolution and dense layers, for images of a few pixels a side."""

from math import prod
from typing import Any

import numpy as np

from surreal.algorithms.models.actor_critic import ActorCritic
from surreal.algorithms.models.byhand.chain import SLOPES, Chain
from surreal.algorithms.models.byhand.compiling import Compiler
from surreal.algorithms.models.byhand.convolution import LANES, Convolution, Loops, Patches
from surreal.algorithms.models.byhand.network import Network
from surreal.algorithms.models.convolutions import ConvNet
from surreal.algorithms.networks import Layout
from surreal.algorithms.types import F32, Array

CHUNK = 256
"""Rows of one forward pass outside the gradient: small enough to stay in the cache."""


def convolved(layout: Layout) -> ConvNet | None:
    """Return the encoder of a layout that Convolved takes; None for another.

    It has one image, one convolution with steps of one pixel, no memory, and relu or tanh in its dense layers.
    """
    if not isinstance(layout, ActorCritic) or layout.memory is not None or layout.state_dependent:
        return None
    chains = (layout.trunk, layout.policy, layout.value)
    if any(chain.norm or (chain.depth and chain.activation not in SLOPES) for chain in chains):
        return None
    blocks = [block for encoder in layout.encoders for block in encoder.blocks.values()]
    if len(blocks) != 1 or not isinstance(blocks[0], ConvNet) or len(blocks[0].layers) != 1:
        return None
    kernel = blocks[0].layers[0].kernel
    return blocks[0] if (kernel.stride, kernel.padding, kernel.out % LANES) == (1, 0, 0) else None


class Convolved(Network):
    """Policy and value over one encoder of an image; see Network."""

    def __init__(self, layout: ActorCritic, vector: Array, compiled: bool = False) -> None:
        """Copy the parameters `vector` [size]; `compiled` has numba compile the convolution."""
        super().__init__(layout, vector)
        encoder = convolved(layout)
        assert encoder is not None
        self._images, self._conv = encoder.images, encoder.layers[0]
        dense = (encoder.flat.dense, layout.trunk, layout.policy, layout.value)
        self._flat, self._trunk, self._policy, self._value = (Chain(one, self._w, self._g) for one in dense)
        self._convolution: Convolution = Patches(self._conv, self._images.scale, self._w, self._g)
        self._width, self._layout = prod(self._conv.shape), layout
        # For the convolution's outputs and their gradient, and for those of `estimates`, which come between.
        self._room, self._spare = self._made(2, 0), self._made(CHUNK)
        self._kept: tuple[Array, list[Array], list[Array], list[Array], list[Array]]
        self._compiler = Compiler(self._compiled) if compiled else None

    def _made(self, *lead: int) -> F32:
        return np.empty((*lead, self._width), np.float32)

    def _compiled(self) -> Any:
        """Return the loops, compiled or loaded from the disk by a pass of made-up rows."""
        from surreal.algorithms.models.byhand import loops

        (leaf,) = self._layout.spaces.leaves.values()
        x, y = self._seen(np.zeros((1, *leaf.shape), leaf.dtype)), self._made(2, 1)
        w, g = (self._layout.views(np.zeros_like(self.vector)) for _ in range(2))
        convolution = Loops(loops, self._conv, 1.0, w, g)
        convolution.forward(x, y[0])
        convolution.backward(x, y[0], y[1])
        loops.adam(*(np.zeros_like(self.vector) for _ in range(4)), np.inf, np.zeros_like(self.vector), 1)
        return loops

    def _prepare(self, rows: int) -> None:
        """Have the loops where they were asked for, and room for so many rows."""
        if self._compiler is not None:
            loops, self._compiler = self._compiler.loaded(), None
            if loops is not None:
                self._convolution = Loops(loops, self._conv, self._images.scale, self._w, self._g)
                self.adam = loops.adam
        if rows > self._room.shape[1]:
            self._room = self._made(2, rows)

    def outputs(self, rows: Any) -> tuple[Array, Array]:
        """See Network."""
        self._prepare(len(rows))
        x, y = self._seen(rows), self._room[0, : len(rows)]
        self._convolution.forward(x, y)
        flat = self._flat.forward(y)
        trunk = self._trunk.forward(flat[-1])
        policy, value = self._policy.forward(trunk[-1]), self._value.forward(trunk[-1])
        self._kept = x, flat, trunk, policy, value
        return policy[-1], value[-1][:, 0]

    def backward(self, d_out: Array, d_values: Array) -> None:
        """See Network."""
        x, flat, trunk, policy, value = self._kept
        d = self._policy.backward(policy, d_out)
        d += self._value.backward(value, np.ascontiguousarray(d_values[:, None]))
        d = self._flat.backward(flat, self._trunk.backward(trunk, d), below=self._room[1, : len(x)])
        self._convolution.backward(x, flat[0], d)

    def estimates(self, rows: Any) -> tuple[Array, Array]:
        """See Network."""
        self._prepare(0)
        found = [self._estimated(rows[start : start + CHUNK]) for start in range(0, max(1, len(rows)), CHUNK)]
        out, values = zip(*found, strict=True)
        return np.concatenate(out), np.concatenate(values)

    def _estimated(self, rows: Any) -> tuple[Array, Array]:
        y = self._spare[: len(rows)]
        self._convolution.forward(self._seen(rows), y)
        features = self._trunk.forward(self._flat.forward(y)[-1])[-1]
        return self._policy.forward(features)[-1], self._value.forward(features)[-1][:, 0]

    def _seen(self, rows: Any) -> Array:
        """Return images [n, H, W, C] as bytes or float32."""
        image = np.ascontiguousarray(self._images.arranged(rows))
        if image.dtype == np.bool_:
            return image.view(np.uint8)
        return image if image.dtype == np.uint8 else image.astype(np.float32, copy=False)
