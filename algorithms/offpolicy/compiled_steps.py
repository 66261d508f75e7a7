"""Steps of the optimizer and of followers that numba compiles. They round as numpy does: nothing is reordered."""

import numpy as np

from surreal.algorithms.devices import exact
from surreal.algorithms.types import F32


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
    """Have both compiled, or loaded from the disk, by calls that mean nothing."""
    line, number = np.zeros(1, np.float32), np.float32(1.0)
    adam(line, line.copy(), line.copy(), line.copy(), number, number, number, number)
    follow(line, line.copy(), number)
