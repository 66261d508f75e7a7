"""Interface of the engines that differentiate the loss.

`analytic` (numpy, by hand) is 2-3 times as fast as autograd for small networks on a CPU, where torch spends its time on
per-operation overhead; `autograd` (torch) works on any device. A test holds them to the same gradient.
"""

from dataclasses import dataclass
from typing import Protocol

from surreal.algorithms.environments.rows import Rows
from surreal.algorithms.ppo.batch import Minibatch
from surreal.algorithms.types import Array

KL_HINGE = 250.0
"""Weight of the squared hinge on the KL beyond twice its target, as the original SURREAL had it."""


@dataclass
class Stats:
    """Sums over minibatches of the loss's parts; `means` divides."""

    count: int = 0
    policy_loss: float = 0.0
    value_loss: float = 0.0
    entropy: float = 0.0
    kl: float = 0.0
    clip_fraction: float = 0.0

    def add(self, policy: float, value: float, entropy: float, kl: float, clipped: float) -> None:
        """Count one minibatch."""
        self.count += 1
        self.policy_loss += policy
        self.value_loss += value
        self.entropy += entropy
        self.kl += kl
        self.clip_fraction += clipped

    def means(self) -> dict[str, float]:
        """Name -> mean over the minibatches counted."""
        names = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")
        return {name: getattr(self, name) / max(self.count, 1) for name in names}


class Gradient(Protocol):
    """Computes outputs, gradients and steps of one parameter vector."""

    def values(self, observations: Rows) -> Array:
        """Return value estimates [n] of observations [n, ...]."""

    def policy(self, observations: Rows) -> Array:
        """Return means or logits [n, action] of observations [n, ...]."""

    def step(self, minibatch: Minibatch, learning_rate: float, beta: float, stats: Stats | None) -> bool:
        """Take one Adam step on one minibatch, adding to `stats` where given.

        Returns False where the gradient was not finite: then parameters and optimizer are untouched.
        """

    def parameters(self) -> Array:
        """Return a copy of the parameter vector, float32."""

    def arrays(self) -> dict[str, Array]:
        """Return parameters and optimizer state, everything `load` needs."""

    def load(self, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""
