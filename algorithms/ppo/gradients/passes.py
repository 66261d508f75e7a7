"""Passes through two tanh networks, forwards and backwards, by loops that numba compiles.

All arrays are flat float32, addressed by offsets: each loop is compiled once, for all sizes. Rows of activations are
padded to a multiple of WIDTH, with zeros.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from surreal.algorithms.devices import kept
from surreal.algorithms.models.byhand.convolution import LANES
from surreal.algorithms.models.byhand.vectors import INTEGER, VECTOR, multiply_add, spread
from surreal.algorithms.types import F32, Int

VECTORS_DIGEST = "a5e2686cc53a"
"""Begin of the sha256 of vectors.py: numba compiles anew where this file changes, and looks at no other."""
ROWS, VECTORS = 4, 2
"""Rows and vectors of a tile, whose sums stay in the registers of a core."""
WIDTH = LANES * VECTORS
"""Columns of a tile."""


def _tile(rows: int) -> Any:
    """Return the loop that adds up a tile: c[rows, WIDTH] = a[rows, depth] @ panel[depth, WIDTH], all by address.

    `row` and `step` are the bytes between rows and between columns of `a`; `c_row` those between rows of `c`.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(context: Any, a: Any, row: Any, step: Any, panel: Any, c: Any, c_row: Any, depth: Any) -> Any:
        return types.void(*[types.int64] * 7), lambda context, builder, _, given: _tile_code(
            context, builder, rows, given
        )

    return tile


def _tile_code(context: Any, builder: Any, rows: int, given: Any) -> Any:
    """Write the code of a tile in LLVM's language: numba does not keep a small array in registers by itself."""
    a, row, step, panel, c, c_row, depth = given
    number, zero, add = ir.FloatType(), ir.Constant(VECTOR, [0.0] * LANES), multiply_add(builder)

    def place(base: Any, by: Any, times: Any) -> Any:
        return builder.add(base, builder.mul(by, times if hasattr(times, "type") else ir.Constant(INTEGER, times)))

    def load(kind: Any, address: Any) -> Any:
        return builder.load(builder.inttoptr(address, kind.as_pointer()), align=4)

    bytes_of = ir.Constant(INTEGER, 4 * LANES)
    sums = [[cgutils.alloca_once(builder, VECTOR) for _ in range(VECTORS)] for _ in range(rows)]
    for each in sums:
        for one in each:
            builder.store(zero, one)
    with cgutils.for_range(builder, depth) as loop:
        line = place(panel, ir.Constant(INTEGER, 4 * WIDTH), loop.index)
        columns = [load(VECTOR, place(line, bytes_of, n)) for n in range(VECTORS)]
        for index, each in enumerate(sums):
            factor = spread(builder, load(number, place(place(a, row, index), step, loop.index)))
            for column, one in zip(columns, each, strict=True):
                builder.store(builder.call(add, [factor, column, builder.load(one)]), one)
    for index, each in enumerate(sums):
        for n, one in enumerate(each):
            target = place(place(c, c_row, index), bytes_of, n)
            builder.store(builder.load(one), builder.inttoptr(target, VECTOR.as_pointer()), align=4)
    return context.get_dummy_value()


_rows_tile, _row_tile = _tile(ROWS), _tile(1)


@kept
def pack(b: F32, b_at: int, b_row: int, b_step: int, depth: int, wide: int, panel: F32) -> None:
    """Copy `wide` columns of b[depth, ...] into the panel, whose further columns become zero."""
    if wide < WIDTH:
        panel[: depth * WIDTH] = np.float32(0)
    for k in range(depth):
        line = panel[k * WIDTH : k * WIDTH + wide]
        source = b[b_at + k * b_row :]
        for n in range(wide):
            line[n] = source[n * b_step]


@kept
def product(
    a: F32,
    a_at: int,
    a_row: int,
    a_step: int,
    b: F32,
    b_at: int,
    b_row: int,
    b_step: int,
    c: F32,
    c_at: int,
    c_row: int,
    rows: int,
    depth: int,
    columns: int,
    panel: F32,
) -> None:
    """Write c[rows, columns] = a[rows, depth] @ b[depth, columns]. Columns up to a multiple of WIDTH, as far as rows of
    `c` reach, become zero. `panel` has room for (depth + ROWS) x WIDTH."""
    spare = depth * WIDTH
    start, target = panel.ctypes.data, c.ctypes.data
    for left in range(0, columns, WIDTH):
        wide = min(WIDTH, columns - left)
        pack(b, b_at + left * b_step, b_row, b_step, depth, wide, panel)
        fits = c_row - left >= WIDTH
        for top in range(0, rows, ROWS):
            high = min(ROWS, rows - top)
            first = a.ctypes.data + 4 * (a_at + top * a_row)
            out, out_row = start + 4 * spare, 4 * WIDTH
            if fits:
                out, out_row = target + 4 * (c_at + top * c_row + left), 4 * c_row
            if high == ROWS:
                _rows_tile(first, 4 * a_row, 4 * a_step, start, out, out_row, depth)
            else:
                for r in range(high):
                    _row_tile(first + 4 * r * a_row, 4 * a_row, 4 * a_step, start, out + r * out_row, out_row, depth)
            if not fits:
                for r in range(high):
                    for n in range(wide):
                        c[c_at + (top + r) * c_row + left + n] = panel[spare + r * WIDTH + n]


_ABOVE = tuple(
    np.float32(n / 7905853580625) for n in (7905853580625, 1159525191825, 41247931725, 523783260, 2552550, 4095, 1)
)
_BELOW = tuple(
    np.float32(n / 7905853580625)
    for n in (7905853580625, 3794809718700, 252070693875, 5237832600, 41351310, 120120, 91)
)
"""Lambert's continued fraction of tanh, cut after 13 levels, as x P(x^2) / Q(x^2): within 4e-7 for all x."""
_P0, _P1, _P2, _P3, _P4, _P5, _P6 = _ABOVE
_Q0, _Q1, _Q2, _Q3, _Q4, _Q5, _Q6 = _BELOW


@kept
def tanh(values: F32) -> None:
    """Replace each value by its tanh. Beyond 9, tanh is 1 in float32."""
    one, most = np.float32(1), np.float32(9)
    for n in range(len(values)):
        # Comparisons leave NaN as it is, where min and max would hide it.
        x = values[n]
        x = most if x > most else -most if x < -most else x
        s = x * x
        above = (((((_P6 * s + _P5) * s + _P4) * s + _P3) * s + _P2) * s + _P1) * s + _P0
        below = (((((_Q6 * s + _Q5) * s + _Q4) * s + _Q3) * s + _Q2) * s + _Q1) * s + _Q0
        y = x * above / below
        values[n] = one if y > one else -one if y < -one else y


@kept
def forward(nets: Int, vector: F32, work: F32, rows: int, panel: F32) -> None:
    """Write the activations of networks for `rows` observations, which lie in `work` at the first layer's input.

    `nets` is [networks, layers, 8]. A layer is (inputs, outputs, weights, biases, input in `work`, its row, output in
    `work`, its row); the last has no tanh.
    """
    depth, one = nets.shape[1], np.int64(1)
    for index in range(len(nets) * depth):
        into, out, weight, bias, x, x_row, y, y_row = nets[index // depth, index % depth]
        product(work, x, x_row, one, vector, weight, out, one, work, y, y_row, rows, into, out, panel)
        # The loops run over views: of an offset plus an index numba does not know that it is not negative.
        biases = vector[bias : bias + out]
        for row in range(rows):
            line = work[y + row * y_row : y + row * y_row + out]
            for n in range(len(line)):
                line[n] += biases[n]
        if index % depth < depth - 1:
            tanh(work[y : y + rows * y_row])


@kept
def backward(nets: Int, vector: F32, grad: F32, work: F32, places: Int, rows: int, panel: F32) -> None:
    """Write the gradients of the weights and biases of both networks, from those of their outputs.

    `places` says where these are in `work`, and where there is room for rows of the widest layer. All is used up.
    """
    # A plain 1 would be a type of its own, for which `product` is compiled again.
    depth, one = nets.shape[1], np.int64(1)
    d, other = places[0], places[2]
    for index in range(2 * depth):
        layer = depth - 1 - index % depth
        into, out, weight, bias, x, x_row, _, d_row = nets[index // depth, layer]
        product(work, x, one, x_row, work, d, d_row, one, grad, weight, out, into, rows, out, panel)
        sums = grad[bias : bias + out]
        sums[:] = np.float32(0)
        for row in range(rows):
            line = work[d + row * d_row : d + row * d_row + out]
            for n in range(len(line)):
                sums[n] += line[n]
        if layer:
            product(work, d, d_row, one, vector, weight, one, out, work, other, x_row, rows, out, into, panel)
            below, activations = work[other : other + rows * x_row], work[x : x + rows * x_row]
            for n in range(len(below)):
                # d tanh = 1 - tanh^2
                below[n] *= np.float32(1) - activations[n] * activations[n]
            d, other = other, d
        else:
            d, other = places[1], places[2]
