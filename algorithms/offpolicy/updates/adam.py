"""Adam on one flat vector, in parts, so that several threads can share a step."""

from math import sqrt

import numpy as np

from surreal.algorithms.types import Array

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
CHUNK = 16_384
"""Numbers that are stepped at once: their five arrays stay in a core's cache."""


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1, with the efficient form of section 2)."""

    def __init__(self, size: int) -> None:
        self._sum1, self._sum2 = np.zeros(size, dtype=np.float32), np.zeros(size, dtype=np.float32)
        self.steps = 0
        self._scratch = np.zeros(size, dtype=np.float32)

    def step(self, vector: Array, grad: Array, rate: float, part: slice) -> None:
        """Step `part` of `vector` [size] by the gradient `grad` [size]. Count the step in `steps` before its parts."""
        for start in range(part.start, part.stop, CHUNK):
            self._step(vector, grad, rate, slice(start, min(start + CHUNK, part.stop)))

    def _step(self, vector: Array, grad: Array, rate: float, part: slice) -> None:
        """Step a part that fits the cache, by sums whose common factors, 1 - beta, are left to the step size."""
        sum1, sum2, scratch, g = self._sum1[part], self._sum2[part], self._scratch[part], grad[part]
        correction = sqrt((1 - BETA2**self.steps) / (1 - BETA2))
        sum1 *= np.float32(BETA1)
        sum1 += g
        sum2 *= np.float32(BETA2)
        sum2 += np.multiply(g, g, out=scratch)
        np.sqrt(sum2, out=scratch)
        scratch += np.float32(EPSILON * correction)
        np.divide(sum1, scratch, out=scratch)
        scratch *= np.float32(rate * correction * (1 - BETA1) / (1 - BETA1**self.steps))
        vector[part] -= scratch

    def arrays(self) -> dict[str, Array]:
        """Return everything `load` needs: the sums, which are the paper's moments over 1 - beta."""
        return {"sum1": self._sum1, "sum2": self._sum2, "steps": np.array([self.steps])}

    def load(self, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""
        self._sum1[:], self._sum2[:] = arrays["sum1"], arrays["sum2"]
        self.steps = int(arrays["steps"][0])


def follow(target: Array, vector: Array, share: float) -> None:
    """Move `target` by `share` of the way to `vector`: Polyak averaging; 1 copies."""
    if share >= 1.0:
        target[:] = vector
        return
    for start in range(0, len(target), CHUNK):
        part = target[start : start + CHUNK]
        part += np.float32(share) * (vector[start : start + CHUNK] - part)
