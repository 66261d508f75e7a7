"""Gradients by hand, in numpy: CQL for Box actions. conservative.py has the same in torch, for a GPU."""

from dataclasses import dataclass, field, fields
from math import log
from typing import Any

import numpy as np

from surreal.algorithms.offpolicy.updates.base import Batch
from surreal.algorithms.offpolicy.updates.soft import SoftGaussian
from surreal.algorithms.types import Array

NONE = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True)
class DrawnBatch(Batch):
    """Transitions, and random numbers for the actions that CQL pushes down."""

    draws: Array = field(default_factory=lambda: NONE)
    """Numbers [batch, 3, actions, action]: uniform in +-1, then standard normal."""


@dataclass(frozen=True)
class PushedBatch(Batch):
    """Transitions, and the actions that CQL pushes down."""

    others: Array = field(default_factory=lambda: NONE)
    """Actions [batch, number, action] that were not recorded."""
    log_densities: Array = field(default_factory=lambda: NONE)
    """Logarithms [batch, number] of the densities that they were drawn with."""
    pushes: Array = field(default_factory=lambda: NONE)
    """Sum over the critics of log sum exp Q - Q(s, a) [batch], which the gradient's computation adds up."""


class ConservativeByHand(SoftGaussian):
    """SAC whose critics are pushed down on actions that were not recorded (Kumar et al. 2020, appendix F)."""

    def __init__(self, *arguments: Any, conservatism: float) -> None:
        """Take the arguments of Analytic, and the weight alpha of the push."""
        super().__init__(*arguments)
        self._conservatism, self._share = conservatism, np.float32(0)

    def critic_step(self, batch: Batch, rate: float) -> tuple[Array, dict[str, float]]:
        """See base.Engine: the loss of SAC, and alpha times the push."""
        assert isinstance(batch, DrawnBatch)
        self._share = np.float32(self._conservatism / len(batch.rewards))
        pushed = self._pushed(batch)
        errors, metrics = super().critic_step(pushed, rate)
        return errors, {**metrics, "push": float(pushed.pushes.mean())}

    def _pushed(self, batch: DrawnBatch) -> PushedBatch:
        """Return the batch with uniform actions, and with those of the policy here and at the next observations."""
        assert self.actor is not None
        number, width = batch.draws.shape[2:]
        uniform = batch.draws[:, 0]
        actions: list[Array] = [uniform]
        densities: list[Array] = [np.full(uniform.shape[:2], -width * log(2.0), dtype=np.float32)]
        for kind, seen in enumerate((batch.observations, batch.next_observations), start=1):
            outputs = np.repeat(self.actor.networks[0](seen), number, axis=0)
            own, log_p, _ = self._sample(outputs, batch.draws[:, kind].reshape(-1, width))
            actions.append(own.reshape(-1, number, width))
            densities.append(log_p.reshape(-1, number))
        plain = {each.name: getattr(batch, each.name) for each in fields(Batch)}
        every, log_densities = np.concatenate(actions, axis=1), np.concatenate(densities, axis=1)
        pushes = np.zeros(len(every), dtype=np.float32)
        return PushedBatch(**plain, others=every, log_densities=log_densities, pushes=pushes)

    def inputs(self, rows: Batch) -> Array:
        """Return the recorded actions with their observations, then all others [rows x number]."""
        assert isinstance(rows, PushedBatch)
        number, width = rows.others.shape[1:]
        many = np.repeat(rows.observations, number, axis=0)
        others = np.concatenate([many, rows.others.reshape(-1, width)], axis=1)
        return np.concatenate([super().inputs(rows), others])

    def taken(self, outputs: Array, rows: Batch) -> Array:
        """See Analytic."""
        return np.asarray(outputs[: len(rows.rewards), 0])

    def spread(self, outputs: Array, slope: Array, rows: Batch) -> Array:
        """See Analytic. The push adds alpha / batch x (softmax(Q - log density) - 1[recorded])."""
        assert isinstance(rows, PushedBatch)
        size = len(slope)
        values = outputs[size:, 0].reshape(rows.log_densities.shape) - rows.log_densities
        top = values.max(axis=1, keepdims=True)
        powers = np.exp(values - top)
        sums = powers.sum(axis=1, keepdims=True)
        above = (top + np.log(sums))[:, 0] - np.float32(log(values.shape[1]))
        rows.pushes[:] += above - outputs[:size, 0]
        d = np.empty_like(outputs)
        d[:size, 0] = slope - self._share
        d[size:, 0] = (self._share * powers / sums).ravel()
        return d
