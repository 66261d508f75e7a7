"""Adam on one flat vector, in parts, so that several threads can share a step."""

from math import sqrt

import numpy as np

from surreal.algorithms.offpolicy.loops import NUMPY, Loops
from surreal.algorithms.types import Array

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1, with the efficient form of section 2)."""

    def __init__(self, size: int, loops: Loops = NUMPY) -> None:
        self._sum1, self._sum2 = np.zeros(size, dtype=np.float32), np.zeros(size, dtype=np.float32)
        self.steps, self._loops = 0, loops

    def step(self, vector: Array, grad: Array, rate: float, part: slice) -> None:
        """Step `part` of `vector` [size] by the gradient `grad` [size]. Count the step in `steps` before its parts.

        The sums' common factors, 1 - beta, are left to the step size.
        """
        correction = sqrt((1 - BETA2**self.steps) / (1 - BETA2))
        size = rate * correction * (1 - BETA1) / (1 - BETA1**self.steps)
        given = (vector[part], grad[part], self._sum1[part], self._sum2[part])
        factors = map(np.float32, (BETA1, BETA2, EPSILON * correction, size))
        self._loops.adam(*given, *factors)

    def arrays(self) -> dict[str, Array]:
        """Return everything `load` needs: the sums, which are the paper's moments over 1 - beta."""
        return {"sum1": self._sum1, "sum2": self._sum2, "steps": np.array([self.steps])}

    def load(self, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""
        self._sum1[:], self._sum2[:] = arrays["sum1"], arrays["sum2"]
        self.steps = int(arrays["steps"][0])
