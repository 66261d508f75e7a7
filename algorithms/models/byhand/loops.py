"""Loops that numba compiles for networks by hand: a convolution that passes over zeros, and Adam."""

from math import isfinite, sqrt
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from surreal.algorithms.devices import kept
from surreal.algorithms.models.byhand.convolution import LANES
from surreal.algorithms.models.optimizers import BETA1, BETA2, EPSILON
from surreal.algorithms.types import F32, Array


@intrinsic  # type: ignore[untyped-decorator]
def _add(context: Any, target: Any, source: Any, factor: Any, vectors: Any) -> Any:
    """Add `factor` times the numbers at the address `source` to those at `target`, both of `vectors` times LANES."""
    return types.void(types.int64, types.int64, types.float32, types.int64), _add_code


def _add_code(context: Any, builder: Any, _: Any, given: Any) -> Any:
    """Write the code of `_add` in LLVM's language: numba does not know that two arrays are two places in memory."""
    from llvmlite import ir  # type: ignore[import-untyped]

    target, source, factor, vectors = given
    vector, integer = ir.VectorType(ir.FloatType(), LANES), ir.IntType(64)
    multiply_add = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{LANES}f32"
    )
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), factor, ir.Constant(ir.IntType(32), 0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    factors = builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), everywhere)
    with cgutils.for_range(builder, vectors) as loop:
        at = builder.mul(loop.index, ir.Constant(integer, 4 * LANES))
        place, other = (builder.inttoptr(builder.add(base, at), vector.as_pointer()) for base in (target, source))
        added = builder.call(multiply_add, [factors, builder.load(other, align=4), builder.load(place, align=4)])
        builder.store(added, place, align=4)
    return context.get_dummy_value()


@kept
def convolve(x: Array, weight: F32, bias: F32, room: F32, y: F32) -> None:
    """Write y [n, out x places], the relu of a convolution of images x [n, H, W, C] with steps of one pixel.

    `weight` is [down, channel, across, out], `across` backwards; `room` [rows, columns, out] is for one image.
    """
    _, height, width, channels = x.shape
    rows, columns, out = room.shape
    size, places, number = len(weight), rows * columns, 4 * out
    start, kernel = room.ctypes.data, weight.ctypes.data
    for index in range(len(x)):
        for row in range(rows):
            for column in range(columns):
                room[row, column] = bias
        for top in range(height):
            for left in range(width):
                first = max(0, left - size + 1)
                vectors = (min(left, columns - 1) - first + 1) * out // LANES
                for channel in range(channels):
                    value = np.float32(x[index, top, left, channel])
                    if value == 0:
                        continue
                    for down in range(max(0, top - rows + 1), min(size, top + 1)):
                        place = start + number * ((top - down) * columns + first)
                        across = (down * channels + channel) * size + size - 1 - left + first
                        _add(place, kernel + number * across, value, vectors)
        line, flat = y[index], room.reshape(places, out)
        for n in range(out):
            for place in range(places):
                value = flat[place, n]
                # A comparison leaves NaN as it is, where max would hide it.
                line[n * places + place] = np.float32(0) if value < 0 else value


@kept
def weigh(x: Array, y: F32, d: F32, room: F32, d_weight: F32, d_bias: F32) -> None:
    """Add to the gradients of weight and bias, from d [n, out x places] of the outputs y; see `convolve`."""
    _, height, width, channels = x.shape
    rows, columns, out = room.shape
    size, places, number = len(d_weight), rows * columns, 4 * out
    start, kernel, one = room.ctypes.data, d_weight.ctypes.data, np.float32(1)
    for index in range(len(x)):
        line, slopes, flat = y[index], d[index], room.reshape(places, out)
        for n in range(out):
            for place in range(places):
                # d relu = 1[y > 0]
                flat[place, n] = slopes[n * places + place] if line[n * places + place] > 0 else np.float32(0)
        for place in range(places):
            _add(d_bias.ctypes.data, start + number * place, one, out // LANES)
        for top in range(height):
            for left in range(width):
                first = max(0, left - size + 1)
                vectors = (min(left, columns - 1) - first + 1) * out // LANES
                for channel in range(channels):
                    value = np.float32(x[index, top, left, channel])
                    if value == 0:
                        continue
                    for down in range(max(0, top - rows + 1), min(size, top + 1)):
                        place = start + number * ((top - down) * columns + first)
                        across = (down * channels + channel) * size + size - 1 - left + first
                        _add(kernel + number * across, place, value, vectors)


def _length(grad: F32) -> float:
    """Return the norm of `grad`; vectors add it up, so that the order differs from that of the numbers."""
    total = np.float32(0)
    for n in range(len(grad)):
        total += grad[n] * grad[n]
    return sqrt(total)


_length = kept(_length, ("reassoc",))


@kept
def adam(vector: F32, grad: F32, moment1: F32, moment2: F32, limit: float, rate: float, steps: int) -> bool:
    """Take step number `steps` of Adam (Kingma & Ba 2015) on the gradient, clipped to the norm `limit`. Return False,
    and change nothing, where that is not finite."""
    norm = _length(grad)
    if not isfinite(norm):
        return False
    scale = 1.0 if norm <= limit else limit / (norm + 1e-6)
    correction = sqrt(1 - BETA2**steps)
    keep1, keep2, tiny = np.float32(BETA1), np.float32(BETA2), np.float32(EPSILON * correction)
    new1, new2 = np.float32((1 - BETA1) * scale), np.float32((1 - BETA2) * scale * scale)
    size = np.float32(rate * correction / (1 - BETA1**steps))
    for n in range(len(vector)):
        moment1[n] = keep1 * moment1[n] + new1 * grad[n]
        moment2[n] = keep2 * moment2[n] + new2 * (grad[n] * grad[n])
        vector[n] -= size * (moment1[n] / (np.sqrt(moment2[n]) + tiny))
    return True
