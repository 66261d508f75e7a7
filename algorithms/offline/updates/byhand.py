"""Gradients by hand, in numpy: behaviour cloning, TD3+BC, and CQL for choices."""

from typing import Any

import numpy as np

from surreal.algorithms.offpolicy.loops import NUMPY, Loops
from surreal.algorithms.offpolicy.mlp import Tape
from surreal.algorithms.offpolicy.shape import Shape
from surreal.algorithms.offpolicy.updates.analytic import Deterministic, Learned
from surreal.algorithms.offpolicy.updates.base import Batch, Engine, Rates
from surreal.algorithms.offpolicy.updates.lanes import Lanes
from surreal.algorithms.offpolicy.updates.soft import log_softmax
from surreal.algorithms.offpolicy.updates.values import Values
from surreal.algorithms.types import Array


class Cloning(Engine):
    """Behaviour cloning (Pomerleau 1991): an actor without critics."""

    def __init__(self, shape: Shape, vector: Array, max_grad_norm: float | None, loops: Loops = NUMPY) -> None:
        """Begin with the actor's parameters `vector`."""
        assert shape.actor is not None
        self._shape, self._limit = shape, max_grad_norm
        self._actor = Learned(shape.actor, vector, Lanes(1), False, loops)

    def critic_step(self, batch: Batch, rate: float) -> tuple[Array, dict[str, float]]:
        """See base.Engine: there is no critic."""
        return np.zeros(len(batch.rewards), dtype=np.float32), {}

    def actor_step(self, batch: Batch, rates: Rates) -> dict[str, float]:
        """Step by the gradient of mean |tanh(pi(s)) - a|^2 over actions' entries, or of mean -log p(a | s)."""
        tape, size = Tape(), np.float32(len(batch.rewards))
        outputs = self._actor.networks[0](batch.observations, tape)
        if self._shape.kind == "categorical":
            index, log_p = np.arange(len(outputs)), log_softmax(outputs)
            loss = -float(log_p[index, batch.actions].mean())
            # d / d logits of -log p(a) = p - 1[a]
            slope = np.exp(log_p)
            slope[index, batch.actions] -= 1
            slope /= size
        else:
            actions = np.tanh(outputs)
            error = actions - batch.actions
            loss = float(np.square(error).mean())
            slope = (2 / (size * np.float32(error.shape[1]))) * error * (1 - actions * actions)
        self._actor.networks[0].backward(tape, slope, self._actor.views[0][0])
        self.skipped += not self._actor.step(rates.actor, self._limit)
        return {"cloning_loss": loss}

    def move_targets(self, share: float) -> None:
        """See base.Engine: there are none."""

    def policy(self) -> Array:
        """See base.Engine."""
        return self._actor.vector.copy()

    def arrays(self) -> dict[str, Array]:
        """See base.Engine."""
        return self._actor.arrays("actor")

    def load(self, arrays: dict[str, Array]) -> None:
        """See base.Engine."""
        self._actor.load("actor", arrays)


class Drawn(Deterministic):
    """TD3+BC (Fujimoto & Gu 2021, eq. 5): the actor maximises lambda Q_1(s, pi(s)) - (pi(s) - a)^2."""

    def __init__(self, *arguments: Any, alpha: float) -> None:
        """Take the arguments of Analytic, of one lane, and the weight of the value."""
        super().__init__(*arguments)
        self._alpha = alpha

    def value_weight(self, values: Array) -> np.float32:
        """Return lambda = alpha / mean |Q_1|, held fixed."""
        return np.float32(np.float32(self._alpha) / np.maximum(np.abs(values).mean(), np.float32(1e-6)))

    def pull(self, actions: Array, rows: Batch) -> tuple[float, Array]:
        """Return the sum over the rows of mean (pi - a)^2, and its slope."""
        error = actions - rows.actions
        width = np.float32(error.shape[1])
        return float(np.square(error).sum() / width), (2 / width) * error


class ConservativeValues(Values):
    """CQL for choices (Kumar et al. 2020, eq. 4): double DQN and alpha (log sum exp Q(s, .) - Q(s, a))."""

    def __init__(self, *arguments: Any, conservatism: float) -> None:
        """Take the arguments of Analytic, and alpha."""
        super().__init__(*arguments)
        self._conservatism = np.float32(conservatism)

    def spread(self, outputs: Array, slope: Array, rows: Batch) -> Array:
        """See Analytic. The push adds alpha / batch x (softmax Q - 1[a]), which each row of a batch has once."""
        d = super().spread(outputs, slope, rows)
        push = np.exp(log_softmax(outputs))
        push[np.arange(len(outputs)), rows.actions] -= 1
        d += (self._conservatism / np.float32(len(outputs))) * push
        return d
