"""Loops that numba compiles for networks by hand: a convolution that passes over zeros, and Adam."""

from math import isfinite, sqrt
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from surreal.algorithms.devices import kept
from surreal.algorithms.models.byhand.convolution import LANES
from surreal.algorithms.models.byhand.vectors import INTEGER, VECTOR, multiply_add, spread
from surreal.algorithms.models.optimizers import BETA1, BETA2, EPSILON
from surreal.algorithms.types import F32, Array

VECTORS_DIGEST = "a5e2686cc53a"
"""Begin of the sha256 of vectors.py: numba compiles anew where this file changes, and looks at no other."""


@intrinsic  # type: ignore[untyped-decorator]
def _add(context: Any, target: Any, source: Any, factor: Any, vectors: Any) -> Any:
    """Add `factor` times the numbers at the address `source` to those at `target`, both of `vectors` times LANES."""
    return types.void(types.int64, types.int64, types.float32, types.int64), _add_code


def _add_code(context: Any, builder: Any, _: Any, given: Any) -> Any:
    """Write the code of `_add` in LLVM's language: numba does not know that two arrays are two places in memory."""
    target, source, factor, vectors = given
    factors, add = spread(builder, factor), multiply_add(builder)
    with cgutils.for_range(builder, vectors) as loop:
        at = builder.mul(loop.index, ir.Constant(INTEGER, 4 * LANES))
        place, other = (builder.inttoptr(builder.add(base, at), VECTOR.as_pointer()) for base in (target, source))
        added = builder.call(add, [factors, builder.load(other, align=4), builder.load(place, align=4)])
        builder.store(added, place, align=4)
    return context.get_dummy_value()


@intrinsic  # type: ignore[untyped-decorator]
def _turn(context: Any, source: Any, row: Any, target: Any, column: Any, least: Any) -> Any:
    """Copy LANES x LANES numbers at an address to another, rows to columns; `row` and `column` are bytes between.

    Those below `least` become `least`.
    """
    return types.void(*[types.int64] * 4, types.float32), _turn_code


def _turn_code(context: Any, builder: Any, _: Any, given: Any) -> Any:
    """Write the code of `_turn`: three rounds, of which each exchanges halves of blocks half as large."""
    source, row, target, column, least = given
    bound = spread(builder, least)

    def place(base: Any, step: Any, times: int) -> Any:
        address = builder.add(base, builder.mul(step, ir.Constant(INTEGER, times)))
        return builder.inttoptr(address, VECTOR.as_pointer())

    found = [builder.load(place(source, row, n), align=4) for n in range(LANES)]
    block = LANES // 2
    while block:
        halves = []
        for second in (0, block):
            own = [lane // (2 * block) * 2 * block + second + lane % block for lane in range(LANES)]
            mixed = [one + (LANES if lane & block else 0) for lane, one in enumerate(own)]
            halves.append(ir.Constant(ir.VectorType(ir.IntType(32), LANES), mixed))
        for n in range(LANES):
            if not n & block:
                pair = found[n], found[n + block]
                found[n], found[n + block] = (builder.shuffle_vector(*pair, half) for half in halves)
        block //= 2
    for n, one in enumerate(found):
        # A comparison leaves NaN as it is, where a maximum would hide it.
        kept_above = builder.select(builder.fcmp_ordered("<", one, bound), bound, one)
        builder.store(kept_above, place(target, column, n), align=4)
    return context.get_dummy_value()


@kept
def _turned(source: F32, rows: int, columns: int, target: F32, least: float) -> None:
    """Write numbers [rows, columns], `least` at the least, as [columns, rows]; both arrays are flat."""
    whole, wide = rows // LANES * LANES, columns // LANES * LANES
    start, end = source.ctypes.data, target.ctypes.data
    for row in range(0, whole, LANES):
        for column in range(0, wide, LANES):
            _turn(start + 4 * (row * columns + column), 4 * columns, end + 4 * (column * rows + row), 4 * rows, least)
    for row in range(rows):
        for column in range(wide if row < whole else 0, columns):
            value = source[row * columns + column]
            target[column * rows + row] = least if value < least else value


@kept
def _meet(image: Array, rows: int, columns: int, out: int, size: int, places: int, weights: int, back: bool) -> None:
    """Add each pixel of an image [H, W, C] that is not 0, times its weights, to what lies at its `places`.

    Both are addresses; `back` adds what lies at its places to its weights instead.
    """
    _, width, channels = image.shape
    flat = image.reshape(image.size)
    for n in range(len(flat)):
        if flat[n] == 0:
            continue
        value, channel = np.float32(flat[n]), n % channels
        top, left = n // channels // width, n // channels % width
        first = max(0, left - size + 1)
        vectors = (min(left, columns - 1) - first + 1) * out // LANES
        for down in range(max(0, top - rows + 1), min(size, top + 1)):
            place = places + 4 * out * ((top - down) * columns + first)
            weight = weights + 4 * out * ((down * channels + channel) * size + size - 1 - left + first)
            if back:
                _add(weight, place, value, vectors)
            else:
                _add(place, weight, value, vectors)


@kept
def convolve(x: Array, weight: F32, bias: F32, room: F32, y: F32) -> None:
    """Write y [n, out x places], the relu of a convolution of images x [n, H, W, C] with steps of one pixel.

    `weight` is [down, channel, across, out], `across` backwards; `bias` [places x out] is that of each place; `room`
    [rows, columns, out] is for one image.
    """
    rows, columns, out = room.shape
    flat = room.reshape(rows * columns * out)
    for index in range(len(x)):
        flat[:] = bias
        _meet(x[index], rows, columns, out, len(weight), room.ctypes.data, weight.ctypes.data, False)
        _turned(flat, rows * columns, out, y[index], np.float32(0))


@kept
def weigh(x: Array, y: F32, d: F32, room: F32, d_weight: F32, d_bias: F32) -> None:
    """Add to the gradients of weight and bias, from d [n, out x places] of the outputs y; see `convolve`.

    `d_bias` [out x places] is that of each place. `d` becomes that before the relu.
    """
    rows, columns, out = room.shape
    flat, zero = room.reshape(rows * columns * out), np.float32(0)
    for index in range(len(x)):
        slopes, line = d[index], y[index]
        for n in range(len(slopes)):
            slope = slopes[n]
            # d relu = 1[y > 0]
            slope = slope if line[n] > zero else zero
            slopes[n] = slope
            d_bias[n] += slope
        _turned(slopes, out, rows * columns, flat, np.float32(-np.inf))
        _meet(x[index], rows, columns, out, len(d_weight), room.ctypes.data, d_weight.ctypes.data, True)


def _length(grad: F32) -> float:
    """Return the norm of `grad`; vectors add it up, so that the order differs from that of the numbers."""
    total = np.float32(0)
    for n in range(len(grad)):
        total += grad[n] * grad[n]
    return sqrt(total)


_length = kept(_length, ("reassoc",))


@kept
def adam(vector: F32, grad: F32, moment1: F32, moment2: F32, limit: float, rates: F32, steps: int) -> bool:
    """Take step number `steps` of Adam (Kingma & Ba 2015) on the gradient, clipped to the norm `limit`, each by its own
    of `rates`. Return False, and change nothing, where the norm is not finite."""
    norm = _length(grad)
    if not isfinite(norm):
        return False
    scale = 1.0 if norm <= limit else limit / (norm + 1e-6)
    correction = sqrt(1 - BETA2**steps)
    keep1, keep2, tiny = np.float32(BETA1), np.float32(BETA2), np.float32(EPSILON * correction)
    new1, new2 = np.float32((1 - BETA1) * scale), np.float32((1 - BETA2) * scale * scale)
    size = np.float32(correction / (1 - BETA1**steps))
    for n in range(len(vector)):
        moment1[n] = keep1 * moment1[n] + new1 * grad[n]
        moment2[n] = keep2 * moment2[n] + new2 * (grad[n] * grad[n])
        vector[n] -= size * rates[n] * (moment1[n] / (np.sqrt(moment2[n]) + tiny))
    return True
