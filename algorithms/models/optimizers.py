"""Optimizers of one flat vector of parameters, in numpy: Adam and RMSprop, with the gradient's norm clipped.

A step whose gradient is not finite changes nothing, and says so. Tests hold both to torch's.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from surreal.algorithms.types import Array

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-5
"""Decays of Adam's moments, and the constant below its quotient."""


class Optimizer(ABC):
    """Steps of one vector, in place."""

    def __init__(self, vector: Array, max_norm: float | None) -> None:
        """Step `vector` [size] by gradients whose global norm is clipped to `max_norm`."""
        self._vector, self._max_norm, self._scratch = vector, max_norm, np.zeros_like(vector)

    def step(self, gradient: Array, rate: float | Array) -> bool:
        """Take a step of size `rate`, one for all or one for each parameter [size].

        Return False, and take none, where the gradient [size] is not finite.
        """
        norm = float(np.sqrt(np.dot(gradient, gradient)))
        if not np.isfinite(norm):
            return False
        limit = self._max_norm
        self._step(gradient, 1.0 if limit is None or norm <= limit else limit / (norm + 1e-6), rate)
        return True

    @abstractmethod
    def _step(self, gradient: Array, scale: float, rate: float | Array) -> None:
        """Move the vector by `gradient` times `scale`."""

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """Return everything `load` needs."""

    @abstractmethod
    def load(self, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015)."""

    def __init__(self, vector: Array, max_norm: float | None, epsilon: float = EPSILON) -> None:
        """Step `vector` as Optimizer does, with `epsilon` added to the root of the second moment."""
        super().__init__(vector, max_norm)
        self._epsilon = epsilon
        self._moment1, self._moment2, self._steps = np.zeros_like(vector), np.zeros_like(vector), 0

    def _step(self, gradient: Array, scale: float, rate: float | Array) -> None:
        scratch = self._scratch
        self._steps += 1
        self._moment1 *= np.float32(BETA1)
        self._moment1 += np.multiply(gradient, np.float32((1 - BETA1) * scale), out=scratch)
        self._moment2 *= np.float32(BETA2)
        np.multiply(gradient, gradient, out=scratch)
        scratch *= np.float32((1 - BETA2) * scale * scale)
        self._moment2 += scratch
        correction = np.sqrt(1 - BETA2**self._steps)
        np.sqrt(self._moment2, out=scratch)
        scratch += np.float32(self._epsilon * correction)
        np.divide(self._moment1, scratch, out=scratch)
        scratch *= np.float32(correction / (1 - BETA1**self._steps)) * np.asarray(rate, dtype=np.float32)
        self._vector -= scratch

    def step_by(self, loop: Callable[..., bool], gradient: Array, rates: Array) -> bool:
        """Take the step of `step`, of `rates` [size], by a compiled loop.

        It takes (vector, gradient, moments, limit of the norm, rates, steps).
        """
        limit = np.inf if self._max_norm is None else self._max_norm
        taken = loop(self._vector, gradient, self._moment1, self._moment2, limit, rates, self._steps + 1)
        self._steps += taken
        return bool(taken)

    def steps_by(self, loop: Callable[[Array, Array, float, int], int]) -> int:
        """Take the steps of a compiled loop of (moments, limit of the norm, steps before), which returns those after.

        Return how many it took.
        """
        limit, before = np.inf if self._max_norm is None else self._max_norm, self._steps
        taken = int(loop(self._moment1, self._moment2, limit, before)) - before
        if taken:  # while numba compiles by steps over no rows, another thread may load a checkpoint
            self._steps += taken
        return taken

    def arrays(self) -> dict[str, Array]:
        """See Optimizer."""
        return {"moment1": self._moment1, "moment2": self._moment2, "adam_steps": np.array([self._steps])}

    def load(self, arrays: dict[str, Array]) -> None:
        """See Optimizer."""
        self._moment1[:], self._moment2[:] = arrays["moment1"], arrays["moment2"]
        self._steps = int(arrays["adam_steps"][0])


class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton 2012) as torch has it: the constant is added to the root of the mean square."""

    def __init__(self, vector: Array, max_norm: float | None, epsilon: float, decay: float) -> None:
        """Step `vector` as Optimizer does; `decay` is the share of the mean square that stays."""
        super().__init__(vector, max_norm)
        self._square, self._steps, self._epsilon, self._decay = np.zeros_like(vector), 0, epsilon, decay

    def _step(self, gradient: Array, scale: float, rate: float | Array) -> None:
        scratch = self._scratch
        self._steps += 1
        self._square *= np.float32(self._decay)
        np.multiply(gradient, gradient, out=scratch)
        scratch *= np.float32((1 - self._decay) * scale * scale)
        self._square += scratch
        np.sqrt(self._square, out=scratch)
        scratch += np.float32(self._epsilon)
        np.divide(gradient, scratch, out=scratch)
        scratch *= np.asarray(rate, dtype=np.float32) * np.float32(scale)
        self._vector -= scratch

    def arrays(self) -> dict[str, Array]:
        """See Optimizer."""
        return {"square": self._square, "rmsprop_steps": np.array([self._steps])}

    def load(self, arrays: dict[str, Array]) -> None:
        """See Optimizer."""
        self._square[:], self._steps = arrays["square"], int(arrays["rmsprop_steps"][0])
