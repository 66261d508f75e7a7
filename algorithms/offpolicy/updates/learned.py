"""Parameters that are learned together by gradients by hand: followers, gradients of each lane, Adam."""

from math import sqrt

import numpy as np

from surreal.algorithms.offpolicy.loops import NUMPY, Loops
from surreal.algorithms.offpolicy.mlp import Gradients, Layout, Network, split
from surreal.algorithms.offpolicy.updates.lanes import Lanes
from surreal.algorithms.types import Array
from surreal.protocol.profiling.spans import NUMERIC, operation

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Decays of Adam's moments, and the constant below its quotient."""
SHARED_FROM = 300_000
"""Parameters from which the lanes share the steps of the optimizer."""
ALONE = Lanes(1)
"""The calling thread."""


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


class Learned:
    """Networks of one layout that are trained together: parameters, followers, gradients of each lane, optimizer."""

    def __init__(self, layout: Layout, vector: Array, lanes: Lanes, followed: bool, loops: Loops) -> None:
        self.vector = np.array(vector, dtype=np.float32)
        self.target = self.vector.copy() if followed else np.zeros(0, dtype=np.float32)
        self.networks = [Network(layout, part, loops) for part in split(layout, self.vector)]
        self.targets = [Network(layout, part, loops) for part in split(layout, self.target)]
        # to wake a thread takes as long as a step of 100,000 numbers
        self._lanes = lanes if len(vector) > SHARED_FROM else ALONE
        self._parts = self._lanes.parts(len(vector))
        self._grads = np.zeros((lanes.count, len(vector)), dtype=np.float32)
        self.views = [[Gradients(part, layout.views(part)) for part in split(layout, grad)] for grad in self._grads]
        """Places of the gradients: [lane][network]."""
        self._adam, self._loops = Adam(len(vector), loops), loops
        self.widths = np.array(layout.widths)

    def each(self, vector: Array) -> Array:
        """Return the vectors [networks, size] in one of all networks."""
        return vector.reshape(len(self.networks), -1)

    def gradients(self, lane: int) -> Array:
        """Return the lane's gradients [networks, size]."""
        return self.each(self._grads[lane])

    def step(self, rate: float, limit: float | None) -> bool:
        """Step by the sum of the lanes' gradients, at most of norm `limit`. Returns False where it is not finite."""
        grad = self._grads[0]
        for other in self._grads[1:]:
            grad += other
        norm = float(np.sqrt(np.dot(grad, grad)))
        if not np.isfinite(norm):
            return False
        if limit is not None and norm > limit:
            grad *= np.float32(limit / norm)
        self._adam.steps += 1
        with operation("optimizer", NUMERIC):
            self._lanes.run(lambda lane: self._adam.step(self.vector, grad, rate, self._parts[lane]))
        return True

    def follow(self, share: float) -> None:
        """Move the followers by `share` of the way."""
        if share >= 1.0:
            self.target[:] = self.vector[: len(self.target)]
        elif len(self.target):
            target, vector, parts = self.target, self.vector, self._parts
            self._lanes.run(lambda n: self._loops.follow(target[parts[n]], vector[parts[n]], np.float32(share)))

    def arrays(self, name: str) -> dict[str, Array]:
        """Return everything a checkpoint needs, under keys that begin with `name`."""
        kept = {name: self.vector, **{f"{name}.{key}": array for key, array in self._adam.arrays().items()}}
        return {**kept, f"{name}.target": self.target} if len(self.target) else kept

    def load(self, name: str, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""
        self.vector[:] = arrays[name]
        if len(self.target):
            self.target[:] = arrays[f"{name}.target"]
        self._adam.load({key: arrays[f"{name}.{key}"] for key in self._adam.arrays()})
