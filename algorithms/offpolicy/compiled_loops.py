"""Loops of loops.py that numba compiles. They round as numpy does: nothing is contracted or reordered."""

import numpy as np

from surreal.algorithms.devices import exact
from surreal.algorithms.types import F32


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


def compile_all() -> None:
    """Have all of them compiled, or loaded from the disk, by calls that mean nothing."""
    table, line, number = np.zeros((1, 1), np.float32), np.zeros(1, np.float32), np.float32(1.0)
    biased_relu(table, line)
    through_relu(table, table.copy(), line)
    spread_through_relu(line, line.copy(), table, table.copy(), line.copy())
    adam(line, line.copy(), line.copy(), line.copy(), number, number, number, number)
    follow(line, line.copy(), number)
