"""Loops of loops.py that numba compiles. They round as numpy does: nothing is contracted or reordered.

The passes through all hidden layers call BLAS themselves, so that a thread needs the interpreter once for a network.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core.cgutils import unpack_tuple
from numba.extending import intrinsic

from surreal.algorithms.devices import exact
from surreal.algorithms.types import F32, Int

ROW_MAJOR, AS_IS, FLIPPED = 101, 111, 112
"""Words of cblas: rows lie one after another; a matrix is taken as it lies, or transposed."""


@exact
def biased_relu(x: F32, bias: F32) -> None:
    """See Loops. NaN stays NaN."""
    for row in range(len(x)):
        line = x[row]
        for n in range(len(line)):
            value = line[n] + bias[n]
            line[n] = np.float32(0) if value < 0 else value


@exact
def through_relu(d: F32, y: F32, sums: F32) -> None:
    """See Loops."""
    if len(sums):
        sums[:] = np.float32(0)
    for row in range(len(d)):
        line, above = d[row], y[row]
        for n in range(len(line)):
            line[n] = line[n] if above[n] > 0 else np.float32(0)
        if len(sums):
            for n in range(len(line)):
                sums[n] += line[n]


@exact
def spread_through_relu(slope: F32, weight: F32, y: F32, d: F32, sums: F32) -> None:
    """See Loops."""
    if len(sums):
        sums[:] = np.float32(0)
    for row in range(len(d)):
        line, above, factor = d[row], y[row], slope[row]
        for n in range(len(line)):
            line[n] = factor * weight[n] if above[n] > 0 else np.float32(0)
        if len(sums):
            for n in range(len(line)):
                sums[n] += line[n]


@exact
def adam(
    vector: F32, gradient: F32, sum1: F32, sum2: F32, beta1: float, beta2: float, tiny: float, size: float
) -> None:
    """See Loops."""
    for n in range(len(vector)):
        sum1[n] = sum1[n] * beta1 + gradient[n]
        sum2[n] = sum2[n] * beta2 + gradient[n] * gradient[n]
        vector[n] -= sum1[n] / (np.sqrt(sum2[n]) + tiny) * size


@exact
def follow(target: F32, vector: F32, share: float) -> None:
    """See Loops."""
    for n in range(len(target)):
        target[n] += share * (vector[n] - target[n])


@intrinsic  # type: ignore[untyped-decorator]
def call_sgemm(typing: Any, address: Any, words: Any, numbers: Any) -> Any:
    """Call the cblas_sgemm at an address, with (order, flips of a and b) and (m, n, k, a, lda, b, ldb, c, ldc)."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        order, flip_a, flip_b = unpack_tuple(builder, values[1])
        m, n, k, a, lda, b, ldb, c, ldc = unpack_tuple(builder, values[2])
        one, zero = (ir.Constant(ir.FloatType(), number) for number in (1.0, 0.0))
        given = [order, flip_a, flip_b, m, n, k, one, a, lda, b, ldb, zero, c, ldc]
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in given])
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), given)
        return context.get_dummy_value()

    return types.void(types.int64, types.UniTuple(types.int32, 3), types.UniTuple(types.int64, 9)), generate


@exact
def product(sgemm: int, a: F32, b: F32, out: F32, size: tuple[int, int, int], flips: tuple[bool, bool]) -> None:
    """Write a [m, k] times b [k, n] to out [m, n], all flat; size: (m, n, k). Flipped ones are [k, m] and [n, k]."""
    m, n, k = size
    order, flip_a, flip_b = np.int32(ROW_MAJOR), np.int32(AS_IS), np.int32(AS_IS)
    lda, ldb = k, n
    if flips[0]:
        flip_a, lda = np.int32(FLIPPED), m
    if flips[1]:
        flip_b, ldb = np.int32(FLIPPED), k
    call_sgemm(sgemm, (order, flip_a, flip_b), (m, n, k, a.ctypes.data, lda, b.ctypes.data, ldb, out.ctypes.data, n))


@exact
def hidden(sgemm: int, vector: F32, widths: Int, x: F32, kept: F32) -> None:
    """See Passes.hidden."""
    rows, at, begin, below = len(x), 0, 0, x.reshape(-1)
    for layer in range(len(widths) - 1):
        into, out = widths[layer], widths[layer + 1]
        bias = at + into * out
        above = kept[begin : begin + rows * out]
        product(sgemm, below, vector[at:bias], above, (rows, out, into), (False, False))
        biased_relu(above.reshape(rows, out), vector[bias : bias + out])
        at, begin, below = bias + out, begin + rows * out, above


@exact
def hidden_back(sgemm: int, vector: F32, widths: Int, x: F32, kept: F32, d: F32, grads: F32, to_input: F32) -> None:
    """See Passes.hidden_back."""
    rows, last = len(x), len(widths) - 2
    at, begin = 0, 0
    for layer in range(last):
        at += (widths[layer] + 1) * widths[layer + 1]
        begin += rows * widths[layer + 1]
    slope = d.reshape(-1)
    for layer in range(last, -1, -1):
        into, out = widths[layer], widths[layer + 1]
        weight = vector[at : at + into * out]
        below = kept[begin - rows * into : begin] if layer else x.reshape(-1)
        if len(grads):
            product(sgemm, below, slope, grads[at : at + into * out], (into, out, rows), (True, False))
        if layer:
            lower = np.empty(rows * into, np.float32)
            product(sgemm, slope, weight, lower, (rows, into, out), (False, True))
            sums = grads[at - into : at] if len(grads) else grads
            through_relu(lower.reshape(rows, into), below.reshape(rows, into), sums)
            slope, at, begin = lower, at - (widths[layer - 1] + 1) * into, begin - rows * into
        elif len(to_input):
            product(sgemm, slope, weight, to_input.reshape(-1), (rows, into, out), (False, True))


def compile_all() -> None:
    """Have all loops compiled, or loaded from the disk, by calls that mean nothing."""
    table, line, number = np.zeros((1, 1), np.float32), np.zeros(1, np.float32), np.float32(1.0)
    biased_relu(table, line)
    through_relu(table, table.copy(), line)
    spread_through_relu(line, line.copy(), table, table.copy(), line.copy())
    adam(line, line.copy(), line.copy(), line.copy(), number, number, number, number)
    follow(line, line.copy(), number)


def compile_passes(sgemm: int) -> bool:
    """Have the passes compiled. Returns True where the product at the address is what it should be."""
    rng = np.random.default_rng(0)
    x, vector = rng.standard_normal((3, 2), dtype=np.float32), rng.standard_normal(39, dtype=np.float32)
    kept, grads, to_input = (np.zeros(size, np.float32) for size in (27, 39, 6))
    widths = np.array([2, 5, 4])
    hidden(sgemm, vector, widths, x, kept)
    hidden_back(sgemm, vector, widths, x, kept, kept[15:].reshape(3, 4), grads, to_input.reshape(3, 2))
    expected = np.maximum(x @ vector[:10].reshape(2, 5) + vector[10:15], 0)
    return bool(np.allclose(kept[:15].reshape(3, 5), expected, atol=1e-5))
