"""Interface of the engines that differentiate the loss.

`analytic` (numpy, by hand) is 2-3 times as fast as autograd for small networks on a CPU, where torch spends its time on
per-operation overhead; `autograd` (torch) works on any device. A test holds them to the same gradient.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.random import Generator

from surreal.algorithms.models.memory import Memories
from surreal.algorithms.networks import Layout
from surreal.algorithms.ppo.batch import Batch, Minibatch
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.rollouts.trajectories import Trajectories
from surreal.algorithms.types import F32, Array
from surreal.protocol.profiling.spans import NUMERIC, Operation

KL_HINGE = 250.0
"""Weight of the squared hinge on the KL beyond twice its target, as the original SURREAL had it."""


@dataclass
class Stats:
    """Sums over minibatches of the loss's parts; `means` divides."""

    count: float = 0
    policy_loss: float = 0.0
    value_loss: float = 0.0
    entropy: float = 0.0
    kl: float = 0.0
    clip_fraction: float = 0.0
    weight: float = 1.0
    """Part of a minibatch that the next numbers are of."""

    def add(self, policy: float, value: float, entropy: float, kl: float, clipped: float) -> None:
        """Count one minibatch, or the part of it that `weight` says."""
        self.count += self.weight
        self.policy_loss += self.weight * policy
        self.value_loss += self.weight * value
        self.entropy += self.weight * entropy
        self.kl += self.weight * kl
        self.clip_fraction += self.weight * clipped

    def means(self) -> dict[str, float]:
        """Name -> mean over the minibatches counted."""
        names = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")
        return {name: getattr(self, name) / max(self.count, 1) for name in names}


class Phases:
    """Time of the steps since the last `tell`, by what it went to: with spans of their own they would be slower."""

    def __init__(self) -> None:
        self.forward = self.backward = self.optimizer = self.steps = 0
        """Nanoseconds, and steps."""

    def share(self, nanoseconds: int, ticks: Sequence[int], steps: int) -> None:
        """Add the time of some steps: to forward, backward and optimizer as their ticks of another clock say."""
        each = nanoseconds / max(1, sum(ticks))
        self.forward += round(ticks[0] * each)
        self.backward += round(ticks[1] * each)
        self.optimizer += round(ticks[2] * each)
        self.steps += steps

    def tell(self, span: Operation) -> None:
        """Note them as pieces of a span, and begin anew."""
        for name in ("forward", "backward", "optimizer"):
            span.spent(name, NUMERIC, getattr(self, name) / 1e9, self.steps)
            setattr(self, name, 0)
        self.steps = 0


class Rates(NamedTuple):
    """Step sizes of an update."""

    policy: float
    """Step size of the policy, and of all that it shares with the values."""
    values: float
    """Step size of values that are a network of their own."""


class StepSizes:
    """Step size of every parameter."""

    def __init__(self, layout: Layout, config: PPOConfig) -> None:
        """Shorten the steps of layers that read many inputs as `value_step_inputs` of the config says."""
        self._own, self._share = layout.of_values(), np.ones(layout.size)
        if config.value_step_inputs is not None and config.value_learning_rate is not None:
            self._share[self._own] = np.minimum(1, config.value_step_inputs / layout.inputs()[self._own])
        self._rates: Rates | None = None
        self._sizes: F32 = np.zeros(layout.size, dtype=np.float32)

    def of(self, rates: Rates) -> F32:
        """Return the step size of each parameter [size]; the array is used again."""
        if rates != self._rates:
            self._rates, self._sizes[:] = rates, np.where(self._own, *rates[::-1]) * self._share
        return self._sizes


class Gradient(Protocol):
    """Computes outputs, gradients and steps of one parameter vector."""

    clip: float
    """Range of the probability ratio in the clipped surrogate, which an update may set."""
    entropy_coef: float
    """Weight of the entropy bonus, which an update may set."""

    def place(self, array: Array) -> Any:
        """Return an array where this engine computes."""

    def batch(self, data: Trajectories) -> Batch:
        """Return the transitions of an update, placed where this engine computes."""

    def values(self, rows: Any, memories: Memories | None = None) -> Array:
        """Return value estimates [n] of observations [n, ...]."""

    def estimates(self, rows: Any, memories: Memories | None = None) -> tuple[Array, Array]:
        """Return outputs of the policy [n, outputs] and value estimates [n] of observations [n, ...], in one pass."""

    def differentiate(self, minibatch: Minibatch, beta: float, stats: Stats | None) -> Any:
        """Return the gradient [size] of the loss of one minibatch, adding to `stats` where given.

        It is the engine's own array or tensor: `apply` takes what was written into it.
        """

    def apply(self, rates: Rates) -> None:
        """Clip the gradient and take one step of Adam.

        Where the gradient is not finite, parameters and optimizer stay as they are, and `skipped` counts it.
        """

    def step(self, minibatch: Minibatch, rates: Rates, beta: float, stats: Stats | None) -> None:
        """Take one Adam step on one minibatch, adding to `stats` where given: `differentiate`, then `apply`."""

    def epoch(self, batch: Batch, rng: Generator, rates: Rates, beta: float, stats: Stats | None) -> None:
        """Take one step on each minibatch of a batch, in an order drawn from `rng`."""

    def tell(self, span: Operation) -> None:
        """Note in a span what the steps inside it were spent on, unless they are operations of their own."""

    def skipped(self) -> int:
        """Return the number of steps that were not taken since the last call."""

    def parameters(self) -> Array:
        """Return a copy of the parameter vector, float32."""

    def arrays(self) -> dict[str, Array]:
        """Return parameters and optimizer state, everything `load` needs."""

    def load(self, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""
