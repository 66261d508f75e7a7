"""One convolution with relu by hand, over images whose gradient is not needed: in numpy, and in compiled loops.

Images are [n, H, W, C], uint8 or float32. Outputs are flat, [n, out x rows x columns], in torch's order.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from surreal.algorithms.models.convolutions import Conv
from surreal.algorithms.types import F32, Array

LANES = 8
"""Numbers of a vector of the compiled loops, which the outputs of a place are a multiple of."""


class Convolution(Protocol):
    """Convolution of the parameters that it was made with, as they are at each call."""

    def forward(self, x: Array, y: Array) -> None:
        """Write the outputs `y` of images `x`."""

    def backward(self, x: Array, y: Array, d: Array) -> None:
        """Write the gradients of weight and bias, from `d` of the outputs `y` that `forward` gave; `d` is used up."""


class Patches:
    """See Convolution: one product over the patches of the images, in numpy."""

    def __init__(self, conv: Conv, scale: float, w: Mapping[str, Array], g: Mapping[str, Array]) -> None:
        """Convolve images times `scale`; `w` and `g` are parameters and gradients by name."""
        self._weight, self._bias = w[conv.weight], w[conv.bias]
        self._d_weight, self._d_bias = g[conv.weight], g[conv.bias]
        self._conv, self._scale = conv, np.float32(scale)

    def forward(self, x: Array, y: Array) -> None:
        """See Convolution."""
        out = len(self._bias)
        found = self._conv.patches(x) @ (self._conv.columns(self._weight) * self._scale)
        found += self._bias
        np.maximum(found, np.float32(0), out=found)
        y.reshape(len(x), out, -1)[:] = found.reshape(len(x), -1, out).transpose(0, 2, 1)

    def backward(self, x: Array, y: Array, d: Array) -> None:
        """See Convolution."""
        out, weight = len(self._bias), self._d_weight.transpose(2, 3, 1, 0)
        d *= y > 0
        rows = np.ascontiguousarray(d.reshape(len(x), out, -1).transpose(0, 2, 1)).reshape(-1, out)
        rows.sum(axis=0, out=self._d_bias)
        weight[...] = (self._conv.patches(x).T @ rows).reshape(weight.shape) * self._scale


class Loops:
    """See Convolution: compiled loops that pass over zeros, of which images of flags mostly consist.

    Weights are brought into the order [down, channel, across, out], `across` backwards: what one pixel adds to places
    side by side is one piece of memory.
    """

    def __init__(self, loops: Any, conv: Conv, scale: float, w: Mapping[str, Array], g: Mapping[str, Array]) -> None:
        """Convolve as Patches does, by the module `loops`."""
        self._weight, self._bias, self._scale = w[conv.weight], w[conv.bias], np.float32(scale)
        self._d_weight, self._d_bias = g[conv.weight], g[conv.bias]
        self._convolve: Callable[..., None] = loops.convolve
        self._weigh: Callable[..., None] = loops.weigh
        out, rows, columns = conv.shape
        self._room: F32 = np.zeros((rows, columns, out), np.float32)
        self._ordered: F32 = np.zeros(_ordered(self._weight).shape, np.float32)
        self._places: F32 = np.zeros(out * rows * columns, np.float32)

    def forward(self, x: Array, y: Array) -> None:
        """See Convolution."""
        np.multiply(_ordered(self._weight), self._scale, out=self._ordered)
        self._places.reshape(-1, len(self._bias))[:] = self._bias
        self._convolve(x, self._ordered, self._places, self._room, y)

    def backward(self, x: Array, y: Array, d: Array) -> None:
        """See Convolution."""
        self._ordered[:] = self._places[:] = 0
        self._weigh(x, y, d, self._room, self._ordered, self._places)
        self._places.reshape(len(self._bias), -1).sum(axis=1, out=self._d_bias)
        np.multiply(self._ordered, self._scale, out=_ordered(self._d_weight))


def _ordered(weight: Array) -> Array:
    """Return a view [down, channel, across, out] of a weight [out, channel, down, across], `across` backwards."""
    return weight.transpose(2, 1, 3, 0)[:, :, ::-1]
