"""Loops of loops.py that numba compiles. They round as numpy does: nothing is contracted or reordered.

The passes through a whole network call BLAS themselves, so that a thread needs the interpreter once for each.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core.cgutils import unpack_tuple
from numba.extending import intrinsic

from surreal.algorithms.devices import exact, kept
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
def column_sums(d: F32, sums: F32) -> None:
    """Write the sums over the rows of `d` [rows, width] to `sums` [width]."""
    sums[:] = np.float32(0)
    for row in range(len(d)):
        line = d[row]
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


def _single_output(x: F32, weight: F32, bias: float, out: F32) -> None:
    """Write x @ weight + bias to `out` [rows]."""
    for row in range(len(x)):
        total, line = np.float32(0), x[row]
        for n in range(len(line)):
            total += line[n] * weight[n]
        out[row] = total + bias


single_output = kept(_single_output, ("reassoc", "contract"))


@exact
def single_back(x: F32, d: F32, grads: F32) -> None:
    """Write the gradients of the weights and the bias of a single output from `d` [rows], all in `grads`."""
    grads[:] = np.float32(0)
    for row in range(len(x)):
        line, slope = x[row], d[row]
        for n in range(len(line)):
            grads[n] += line[n] * slope
        grads[len(line)] += slope


@exact
def forward(sgemm: int, vector: F32, widths: Int, x: F32, hidden: F32, outputs: F32) -> None:
    """See Passes.forward."""
    rows, at, begin, below, last = len(x), 0, 0, x.reshape(-1), len(widths) - 2
    for layer in range(last + 1):
        into, out = widths[layer], widths[layer + 1]
        weight, bias = vector[at : at + into * out], vector[at + into * out : at + (into + 1) * out]
        if layer < last:
            above = hidden[begin : begin + rows * out]
            product(sgemm, below, weight, above, (rows, out, into), (False, False))
            biased_relu(above.reshape(rows, out), bias)
            at, begin, below = at + (into + 1) * out, begin + rows * out, above
        elif out == 1:
            single_output(below.reshape(rows, into), weight, bias[0], outputs.reshape(-1))
        else:
            product(sgemm, below, weight, outputs.reshape(-1), (rows, out, into), (False, False))
            outputs += bias


@exact
def backward(sgemm: int, vector: F32, widths: Int, x: F32, hidden: F32, d: F32, grads: F32, to_input: F32) -> None:
    """See Passes.backward."""
    rows, last, slope = len(x), len(widths) - 2, d.reshape(-1)
    at, begin = len(vector), len(hidden)
    for layer in range(last, -1, -1):
        into, out = widths[layer], widths[layer + 1]
        at -= (into + 1) * out
        weight, end = vector[at : at + into * out], at + into * out
        below = hidden[begin - rows * into : begin] if layer else x.reshape(-1)
        if len(grads):
            if layer == last and out == 1:
                single_back(below.reshape(rows, into), slope, grads[at : end + 1])
            else:
                product(sgemm, below, slope, grads[at:end], (into, out, rows), (True, False))
                if layer == last:
                    column_sums(slope.reshape(rows, out), grads[end : end + out])
        if layer:
            y, lower = below.reshape(rows, into), np.empty(rows * into, np.float32)
            sums = grads[at - into : at] if len(grads) else grads
            if layer == last and out == 1:
                spread_through_relu(slope, weight, y, lower.reshape(rows, into), sums)
            else:
                product(sgemm, slope, weight, lower, (rows, into, out), (False, True))
                through_relu(lower.reshape(rows, into), y, sums)
            slope, begin = lower, begin - rows * into
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
    rng, widths = np.random.default_rng(0), np.array([2, 5, 4, 3])
    x, vector = rng.standard_normal((3, 2), dtype=np.float32), rng.standard_normal(54, dtype=np.float32)
    kept, outputs, grads, to_input = (np.zeros(size, np.float32) for size in (27, (3, 3), 54, (3, 2)))
    forward(sgemm, vector, widths, x, kept, outputs)
    backward(sgemm, vector, widths, x, kept, outputs, grads, to_input)
    expected = np.maximum(x @ vector[:10].reshape(2, 5) + vector[10:15], 0)
    return bool(np.allclose(kept[:15].reshape(3, 5), expected, atol=1e-5))
