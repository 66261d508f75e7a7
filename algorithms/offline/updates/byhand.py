"""Gradients by hand, in numpy: behaviour cloning, TD3+BC, and CQL for choices."""

from typing import Any

import numpy as np

from surreal.algorithms.offpolicy.loops import NUMPY, Loops
from surreal.algorithms.offpolicy.mlp import Tape
from surreal.algorithms.offpolicy.shape import Shape
from surreal.algorithms.offpolicy.updates.analytic import Deterministic, Judged
from surreal.algorithms.offpolicy.updates.base import Batch, Engine, Rates
from surreal.algorithms.offpolicy.updates.lanes import Lanes
from surreal.algorithms.offpolicy.updates.learned import Learned
from surreal.algorithms.offpolicy.updates.soft import log_softmax
from surreal.algorithms.offpolicy.updates.values import Values
from surreal.algorithms.types import Array


class Cloning(Engine):
    """Behaviour cloning (Pomerleau 1991): an actor without critics."""

    def __init__(
        self, shape: Shape, vector: Array, max_grad_norm: float | None, lanes: Lanes, loops: Loops = NUMPY
    ) -> None:
        """Begin with the actor's parameters `vector`."""
        assert shape.actor is not None
        self._shape, self._limit, self._lanes = shape, max_grad_norm, lanes
        self._actor = Learned(shape.actor, vector, lanes, False, loops)

    def critic_step(self, batch: Batch, rate: float) -> tuple[Array, dict[str, float]]:
        """See base.Engine: there is no critic."""
        return np.zeros(len(batch.rewards), dtype=np.float32), {}

    def actor_step(self, batch: Batch, rates: Rates) -> dict[str, float]:
        """Step by the gradient of mean |tanh(pi(s)) - a|^2 over actions' entries, or of mean -log p(a | s)."""
        size, losses = len(batch.rewards), np.zeros(self._lanes.count)
        parts = self._lanes.parts(size)

        def clone(lane: int) -> None:
            losses[lane] = self._clone(lane, batch.part(parts[lane]), np.float32(1 / size))

        self._lanes.run(clone)
        self.skipped += not self._actor.step(rates.actor, self._limit)
        return {"cloning_loss": float(losses.sum()) / size}

    def _clone(self, lane: int, rows: Batch, scale: np.float32) -> float:
        """Write the gradient on some rows of a batch whose mean has the factor `scale`; return the sum of the loss."""
        tape, network = Tape(), self._actor.networks[0]
        outputs = network(rows.observations, tape)
        if self._shape.kind == "categorical":
            index, log_p = np.arange(len(outputs)), log_softmax(outputs)
            loss = -float(log_p[index, rows.actions].sum())
            # d / d logits of -log p(a) = p - 1[a]
            slope = np.exp(log_p)
            slope[index, rows.actions] -= 1
        else:
            actions = np.tanh(outputs)
            loss, slope = squared(actions, rows)
            slope *= 1 - actions * actions
        network.backward(tape, slope * scale, self._actor.views[lane][0])
        return loss

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
        """Take the arguments of Analytic, and the weight of the value."""
        super().__init__(*arguments)
        self._alpha, self._weight = alpha, np.float32(1)
        self._judged: dict[int, Judged] = {}

    def actor_step(self, batch: Batch, rates: Rates) -> dict[str, float]:
        """See base.Engine. All lanes judge before one follows: lambda = alpha / mean |Q_1| of the batch, held fixed."""
        parts = self.lanes.parts(len(batch.rewards))

        def judge(lane: int) -> None:
            self._judged[lane] = self.judged(batch.part(parts[lane]))

        self.lanes.run(judge)
        total = sum(np.abs(each.values).sum() for each in self._judged.values())
        mean = np.maximum(np.float32(total) / np.float32(len(batch.rewards)), np.float32(1e-6))
        self._weight = np.float32(self._alpha) / mean
        return super().actor_step(batch, rates)

    def actor_rows(self, lane: int, rows: Batch, scale: np.float32) -> tuple[float, float]:
        """See Analytic."""
        return self.followed(lane, rows, self._judged.pop(lane), scale, self._weight), 0.0

    def pull(self, actions: Array, rows: Batch) -> tuple[float, Array]:
        """Return the sum over the rows of mean (pi - a)^2, and its slope."""
        return squared(actions, rows)


def squared(actions: Array, rows: Batch) -> tuple[float, Array]:
    """Return the sum over the rows of mean (pi - a)^2 over an action's entries, and its slope by `actions`."""
    error = actions - rows.actions
    width = np.float32(error.shape[1])
    return float(np.square(error).sum() / width), (2 / width) * error


class ConservativeValues(Values):
    """CQL for choices (Kumar et al. 2020, eq. 4): double DQN and alpha (log sum exp Q(s, .) - Q(s, a))."""

    def __init__(self, *arguments: Any, conservatism: float) -> None:
        """Take the arguments of Analytic, and alpha."""
        super().__init__(*arguments)
        self._conservatism, self._share = conservatism, np.float32(0)

    def critic_step(self, batch: Batch, rate: float) -> tuple[Array, dict[str, float]]:
        """See base.Engine."""
        self._share = np.float32(self._conservatism / len(batch.rewards))
        return super().critic_step(batch, rate)

    def spread(self, outputs: Array, slope: Array, rows: Batch) -> Array:
        """See Analytic. The push adds alpha / batch x (softmax Q - 1[a]), which each row of a batch has once."""
        d = super().spread(outputs, slope, rows)
        push = np.exp(log_softmax(outputs))
        push[np.arange(len(outputs)), rows.actions] -= 1
        d += self._share * push
        return d
