"""Convolutional encoders of images: Nature CNN, a small one for images of a few cells, and IMPALA's residual network.

In numpy a convolution is one matrix product over the patches of an image [n, H, W, C]; weights are brought into that
order when they are loaded. torch has [n, C, H, W].
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from surreal.algorithms.computation.graph import Computation
from surreal.algorithms.models.blocks import Dense, Forward, Part
from surreal.algorithms.types import Array

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, int, int]
"""Channels, height, width."""


class Kernel(NamedTuple):
    """Settings of a convolution."""

    out: int
    size: int
    stride: int = 1
    padding: int = 0


NATURE = (Kernel(32, 8, 4), Kernel(64, 4, 2), Kernel(64, 3))
"""Mnih et al. 2015, table of the methods section."""
SMALL = (Kernel(16, 3),)
"""Young & Tian 2019 (MinAtar), sec. 4."""
SECTIONS = (16, 32, 32)
"""Channels of the three sections of the deep network of Espeholt et al. 2018, fig. 3."""


class Conv:
    """One convolution."""

    def __init__(self, name: str, shape: Shape, kernel: Kernel) -> None:
        """Take images of `shape`."""
        channels, height, width = shape
        self.kernel, self.weight, self.bias = kernel, f"{name}.weight", f"{name}.bias"
        sides = ((side + 2 * kernel.padding - kernel.size) // kernel.stride + 1 for side in (height, width))
        self.shape: Shape = (kernel.out, next(sides), next(sides))
        inputs = channels * kernel.size**2
        self.parts = {
            self.weight: Part((kernel.out, channels, kernel.size, kernel.size), sqrt(2), inputs),
            self.bias: Part((kernel.out,), inputs=inputs),
        }

    def acting(self, views: Mapping[str, Array], scale: float = 1.0) -> Forward:
        """Return the function of images [n, H, W, C], of any type of number, times `scale` to [n, H', W', out]."""
        columns, bias = self.columns(views[self.weight]) * np.float32(scale), views[self.bias]
        out, height, width = self.shape

        def forward(x: Array) -> Array:
            y = self.patches(x) @ columns
            y += bias
            return np.asarray(y.reshape(len(x), height, width, out))

        return forward

    def patches(self, x: Array) -> Array:
        """Return what each output place sees of images [n, H, W, C]: float32 [n x H' x W', size x size x C]."""
        (_, size, stride, pad), (_, height, width) = self.kernel, self.shape
        x = np.ascontiguousarray(x, np.float32)
        x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0))) if pad else x
        image, row, column, number = x.strides
        # Channels come last, so that a row of a patch is copied in one piece. numpy's own windows take 25 us to make.
        shape, strides = (len(x), height, width, size, size * x.shape[3]), (image, row * stride, column * stride, row)
        windows: Array = np.ndarray(shape, np.float32, x, 0, (*strides, number))
        return windows.reshape(len(x) * height * width, -1)

    @staticmethod
    def columns(weight: Array) -> Array:
        """Return a weight [out, C, size, size] as what patches are multiplied by [size x size x C, out]."""
        return np.ascontiguousarray(weight.transpose(2, 3, 1, 0).reshape(-1, len(weight)))

    def torch(self, tensors: Mapping[str, "Tensor"], x: Any) -> "Tensor":
        """Return the outputs [n, out, H', W'] of images [n, C, H, W]."""
        from torch.nn import functional

        weight, bias = tensors[self.weight], tensors[self.bias]
        return functional.conv2d(x, weight, bias, stride=self.kernel.stride, padding=self.kernel.padding)

    def symbolic(self, graph: Computation, views: Mapping[str, Array], x: str) -> str:
        """Return the name of the outputs [n, out, H', W'] of images [n, C, H, W]."""
        weight, bias = views[self.weight], views[self.bias]
        return graph.add("Conv", x, weight, bias, stride=self.kernel.stride, padding=self.kernel.padding)


class Images:
    """Reading of images: which axis of an observation is the channels, and the scale of its numbers."""

    def __init__(self, shape: Sequence[int], dtype: Any) -> None:
        """Take observations of `shape`: [H, W], [H, W, C], [C, H, W], or a stack [K, H, W, C]."""
        sizes = tuple(int(size) for size in shape)
        self._sizes, self.scale = sizes, 1 / 255 if np.dtype(dtype) == np.uint8 else 1.0
        self.channels_first = len(sizes) == 2 or (len(sizes) == 3 and sizes[0] < sizes[-1])
        if len(sizes) == 2:
            self.shape: Shape = (1, sizes[0], sizes[1])
        elif self.channels_first:
            self.shape = (sizes[0], sizes[1], sizes[2])
        else:
            self.shape = (prod(sizes) // (sizes[-3] * sizes[-2]), sizes[-3], sizes[-2])

    def arranged(self, x: Array) -> Array:
        """Return images [n, ...] as [n, H, W, C] in one piece."""
        if len(self._sizes) == 4:
            return np.moveaxis(x, 1, 3).reshape(len(x), *self.shape[1:], -1)
        return np.ascontiguousarray(x.reshape(len(x), *self.shape).transpose(0, 2, 3, 1)) if self.channels_first else x

    def tensor(self, x: Any) -> Any:
        """Return images [n, ...] as float32 [n, C, H, W] of about 0 to 1."""
        if len(self._sizes) == 4:
            x = x.permute(0, 1, 4, 2, 3)
        elif not self.channels_first:
            x = x.permute(0, 3, 1, 2)
        return _laid(x.reshape(len(x), *self.shape)).float() * self.scale

    def symbolic(self, graph: Computation, x: str) -> str:
        """Return the name of images [n, ...] as `tensor` has them."""
        if len(self._sizes) == 4:
            x = graph.add("Transpose", x, axes=[0, 1, 4, 2, 3])
        elif not self.channels_first:
            x = graph.add("Transpose", x, axes=[0, 3, 1, 2])
        x = graph.cast(graph.reshaped(x, self.shape), np.float32)
        return x if self.scale == 1.0 else graph.add("Mul", x, np.array([self.scale], np.float32))


def _laid(x: Any) -> Any:
    """Return images [n, C, H, W] with channels last in memory on a CPU, where convolutions take two thirds then."""
    import torch

    return x.contiguous(memory_format=torch.channels_last) if x.device.type == "cpu" else x


class ConvNet:
    """Convolutions with relu, then one dense layer with relu."""

    def __init__(self, name: str, images: Images, kernels: Sequence[Kernel], width: int) -> None:
        self.images, self.width, self.parts = images, width, dict[str, Part]()
        self.layers, shape = list[Conv](), images.shape
        for number, kernel in enumerate(kernels):
            layer = Conv(f"{name}.conv{number}", shape, kernel)
            self.layers.append(layer)
            self.parts |= layer.parts
            shape = layer.shape
        self.flat = Flat(f"{name}.dense", shape, width)
        self.parts |= self.flat.parts

    def acting(self, views: Mapping[str, Array]) -> Forward:
        """See Block."""
        images, flat = self.images, self.flat.acting(views)
        first = self.layers[0].acting(views, images.scale)
        others = [layer.acting(views) for layer in self.layers[1:]]

        def forward(x: Array) -> Array:
            x = first(images.arranged(x))
            for layer in others:
                x = layer(np.maximum(x, np.float32(0), out=x))
            return flat(np.maximum(x, np.float32(0), out=x))

        return forward

    def torch(self, tensors: Mapping[str, "Tensor"], x: Any) -> "Tensor":
        """See Block."""
        x = self.images.tensor(x)
        for layer in self.layers:
            x = layer.torch(tensors, x).relu()
        return self.flat.torch(tensors, x)

    def symbolic(self, graph: Computation, views: Mapping[str, Array], x: str) -> str:
        """See Block."""
        x = self.images.symbolic(graph, x)
        for layer in self.layers:
            x = graph.add("Relu", layer.symbolic(graph, views, x))
        return self.flat.symbolic(graph, views, x)


class Flat:
    """Dense layer with relu over all that the last convolution gives."""

    def __init__(self, name: str, shape: Shape, width: int) -> None:
        self._shape, self._name = shape, name
        self.dense = Dense(name, prod(shape), [width], "relu")
        self.parts = self.dense.parts

    def acting(self, views: Mapping[str, Array]) -> Forward:
        """Return the function of images [n, H, W, C]."""
        weight, bias = views[f"{self._name}.0.weight"], views[f"{self._name}.0.bias"]
        ordered = weight.reshape(-1, *self._shape).transpose(2, 3, 1, 0).reshape(-1, len(bias))
        columns = np.ascontiguousarray(ordered)

        def forward(x: Array) -> Array:
            y = x.reshape(len(x), -1) @ columns
            y += bias
            return np.asarray(np.maximum(y, np.float32(0), out=y))

        return forward

    def torch(self, tensors: Mapping[str, "Tensor"], x: "Tensor") -> "Tensor":
        """Return the outputs [n, width] of images [n, C, H, W]."""
        return self.dense.torch(tensors, x.flatten(1))

    def symbolic(self, graph: Computation, views: Mapping[str, Array], x: str) -> str:
        """Return the name of the outputs [n, width] of images [n, C, H, W]."""
        return self.dense.symbolic(graph, views, graph.reshaped(x, [prod(self._shape)]))


class ImpalaResNet:
    """Three sections of a convolution, a pool that halves, and two residual blocks; then one dense layer."""

    def __init__(self, name: str, images: Images, width: int) -> None:
        self._images, self.width, self.parts = images, width, dict[str, Part]()
        self._sections: list[list[Conv]] = []
        shape = images.shape
        for number, out in enumerate(SECTIONS):
            convs = [Conv(f"{name}.section{number}.conv", shape, Kernel(out, 3, padding=1))]
            shape = (out, *((side + 1) // 2 for side in shape[1:]))  # type: ignore[assignment]
            for part in ("block0.conv0", "block0.conv1", "block1.conv0", "block1.conv1"):
                convs.append(Conv(f"{name}.section{number}.{part}", shape, Kernel(out, 3, padding=1)))
            self._sections.append(convs)
            for conv in convs:
                self.parts |= conv.parts
        self._flat = Flat(f"{name}.dense", shape, width)
        self.parts |= self._flat.parts

    def acting(self, views: Mapping[str, Array]) -> Forward:
        """See Block."""
        images, flat = self._images, self._flat.acting(views)
        sections = [[conv.acting(views) for conv in convs] for convs in self._sections]
        sections[0][0] = self._sections[0][0].acting(views, images.scale)

        def forward(x: Array) -> Array:
            x = images.arranged(x)
            for first, *blocks in sections:
                x = _residual(_pooled(first(x)), blocks, lambda x: np.maximum(x, np.float32(0)))
            return flat(np.maximum(x, np.float32(0), out=x))

        return forward

    def torch(self, tensors: Mapping[str, "Tensor"], x: Any) -> "Tensor":
        """See Block."""
        from torch.nn import functional

        x = self._images.tensor(x)
        for first, *rest in self._sections:
            x = functional.max_pool2d(first.torch(tensors, x), 3, stride=2, padding=1)
            x = _residual(x, [partial(conv.torch, tensors) for conv in rest], functional.relu)
        return self._flat.torch(tensors, x.relu())

    def symbolic(self, graph: Computation, views: Mapping[str, Array], x: str) -> str:
        """See Block."""
        x = self._images.symbolic(graph, x)
        for first, *rest in self._sections:
            x = graph.add("MaxPool", first.symbolic(graph, views, x), size=3, stride=2, padding=1)
            for inner, outer in (rest[:2], rest[2:]):
                y = inner.symbolic(graph, views, graph.add("Relu", x))
                x = graph.add("Add", x, outer.symbolic(graph, views, graph.add("Relu", y)))
        return self._flat.symbolic(graph, views, graph.add("Relu", x))


def _residual(x: Any, convs: Sequence[Callable[[Any], Any]], relu: Callable[[Any], Any]) -> Any:
    """Return x after two blocks x + conv(relu(conv(relu(x))))."""
    for inner, outer in (convs[:2], convs[2:]):
        x = x + outer(relu(inner(relu(x))))
    return x


def _pooled(x: Array) -> Array:
    """Return the maximum over windows of 3x3 with stride 2 of images [n, H, W, C], as torch pools with padding 1."""
    for axis in (1, 2):
        size = (x.shape[axis] + 1) // 2
        middle = np.take(x, np.arange(size) * 2, axis)
        left = np.take(x, np.maximum(np.arange(size) * 2 - 1, 0), axis)
        right = np.take(x, np.minimum(np.arange(size) * 2 + 1, x.shape[axis] - 1), axis)
        x = np.maximum(np.maximum(left, right), middle)
    return x
