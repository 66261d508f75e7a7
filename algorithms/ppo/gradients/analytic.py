"""PPO's gradient by hand, in numpy, for networks on a CPU whose backward pass is written (models.byhand).

That pass writes in place and Adam steps the one flat vector: what is left of a minibatch is mostly BLAS. The derivation
of each line is beside it; tests compare it with autograd on `loss.py`.
"""

from functools import partial
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.random import Generator

from surreal.algorithms.distributions import log_softmax_parts, masked
from surreal.algorithms.models.byhand import make_network
from surreal.algorithms.models.memory import Memories
from surreal.algorithms.models.optimizers import Adam
from surreal.algorithms.networks import Layout
from surreal.algorithms.ppo.batch import Batch, Minibatch
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients.base import KL_HINGE, Phases, Rates, Stats, StepSizes
from surreal.algorithms.rollouts.trajectories import Trajectories
from surreal.algorithms.types import Array
from surreal.protocol.profiling.spans import Operation


class Analytic:
    """See base.Gradient."""

    def __init__(self, layout: Layout, config: PPOConfig, vector: Array) -> None:
        config = config.of(layout)
        self._network = make_network(layout, vector, config.compiles)
        self._config, self._choices = config, layout.spaces.choices
        self._vector, self._grad = self._network.vector, self._network.gradient
        self._adam = Adam(self._vector, config.max_grad_norm)
        self._sizes = StepSizes(layout, config)
        self._skipped, self._phases = 0, Phases()
        self.clip, self.entropy_coef = config.clip, config.entropy_coef

    def place(self, array: Array) -> Array:
        """See base.Gradient."""
        return array

    def batch(self, data: Trajectories) -> Batch:
        """See base.Gradient."""
        return Batch(data)

    def values(self, rows: Any, memories: Memories | None = None) -> Array:
        """See base.Gradient."""
        return self._network.values(rows)

    def estimates(self, rows: Any, memories: Memories | None = None) -> tuple[Array, Array]:
        """See base.Gradient."""
        return self._network.estimates(rows)

    def step(self, minibatch: Minibatch, rates: Rates, beta: float, stats: Stats | None) -> None:
        """See base.Gradient."""
        self.differentiate(minibatch, beta, stats)
        self.apply(rates)

    def differentiate(self, minibatch: Minibatch, beta: float, stats: Stats | None) -> Array:
        """See base.Gradient."""
        began = perf_counter_ns()
        out, values = self._network.outputs(minibatch.observations)
        self._phases.forward += perf_counter_ns() - began
        out = masked(out, minibatch.masks)
        d_out = self._policy_gradient(minibatch, out, beta, stats)
        d_values = self._value_gradient(minibatch, values, stats)
        began = perf_counter_ns()
        self._network.backward(d_out, d_values)
        self._phases.backward += perf_counter_ns() - began
        return self._grad

    def apply(self, rates: Rates) -> None:
        """See base.Gradient."""
        began, loop = perf_counter_ns(), self._network.adam
        step = self._adam.step if loop is None else partial(self._adam.step_by, loop)
        self._skipped += not step(self._grad, self._sizes.of(rates))
        self._phases.optimizer += perf_counter_ns() - began
        self._phases.steps += 1

    def epoch(self, batch: Batch, rng: Generator, rates: Rates, beta: float, stats: Stats | None) -> None:
        """See base.Gradient."""
        for minibatch in batch.shuffled(rng, self._config.minibatch):
            self.step(minibatch, rates, beta, stats)

    def tell(self, span: Operation) -> None:
        """See base.Gradient."""
        self._phases.tell(span)

    def skipped(self) -> int:
        """See base.Gradient."""
        found, self._skipped = self._skipped, 0
        return found

    def _policy_gradient(self, batch: Minibatch, out: Array, beta: float, stats: Stats | None) -> Array:
        """Return d loss / d (means or logits) [batch, action]; writes the gradient of log_std."""
        config, n = self._config, np.float32(1.0 / len(out))
        advantages = batch.advantages
        if config.normalize_advantages:
            advantages = advantages - advantages.mean()
            advantages /= np.sqrt(np.dot(advantages, advantages) * n) + np.float32(1e-8)
        log_probs = self._network.log_prob(out, batch.actions)
        log_ratio = log_probs - batch.log_probs
        ratio = np.exp(log_ratio)
        surrogate = ratio * advantages
        slope = surrogate * -n  # d(-mean r A) / d log p = -r A / n
        if config.objective == "clip":
            clipped = np.minimum(np.maximum(ratio, 1 - self.clip), 1 + self.clip) * advantages
            slope *= surrogate <= clipped  # where the clipped term is the smaller, it is flat
            surrogate = np.minimum(surrogate, clipped) if stats else surrogate
        d_out, entropy = self._network.through_distribution(out, batch.actions, slope, self.entropy_coef)
        loss = -float(surrogate.mean()) if stats else 0.0
        if config.objective == "adaptive-kl":
            loss += self._kl_gradient(batch, out, d_out, beta)
        if stats:
            outside = float((np.abs(ratio - 1) > self.clip).mean())
            stats.add(loss, 0.0, entropy, float((ratio - 1 - log_ratio).mean()), outside)
        return d_out

    def _kl_gradient(self, batch: Minibatch, out: Array, d_out: Array, beta: float) -> float:
        """Add the gradient of the KL penalty (loss.kl_penalty) to `d_out` and log_std; returns the penalty."""
        assert batch.reference is not None and self._config.target_kl is not None
        n = np.float32(1.0 / len(out))
        if self._choices:
            log_p0 = log_softmax_parts(batch.reference, self._choices)
            log_p, p0 = log_softmax_parts(out, self._choices), np.exp(log_p0)
            kl = float((p0 * (log_p0 - log_p)).sum(axis=-1).mean())
            d_kl, d_log_std = np.exp(log_p) - p0, None  # d KL / d logits = p - p0
        else:
            reference, log_std0 = batch.reference[:, : out.shape[1]], batch.reference[:, out.shape[1] :]
            log_std = self._network.log_std
            precision = np.exp(-2 * log_std)
            gap = out - reference
            squares = (np.exp(2 * log_std0) + gap * gap) * precision
            kl = float((log_std - log_std0 + 0.5 * squares - 0.5).sum(axis=-1).mean())
            d_kl, d_log_std = gap * precision, 1 - squares.mean(axis=0)
        over = max(0.0, kl - 2 * self._config.target_kl)
        weight = np.float32(beta + 2 * KL_HINGE * over)
        d_out += weight * n * d_kl
        if d_log_std is not None:
            gradient = self._network.log_std_gradient
            gradient += weight * d_log_std
        return beta * kl + KL_HINGE * over**2

    def _value_gradient(self, batch: Minibatch, values: Array, stats: Stats | None) -> Array:
        """Return d loss / d value [batch]: 2 c (V - R) / n, or zero where the clipped error is larger."""
        error = values - batch.returns
        loss = error * error if stats else error
        slope = error
        if self._config.value_clip is not None:
            change = values - batch.values
            near = np.clip(change, -self._config.value_clip, self._config.value_clip)
            clipped_error = batch.values + near - batch.returns
            inside = (error * error >= clipped_error * clipped_error) | (near == change)
            slope = error * inside
            loss = np.maximum(error * error, clipped_error * clipped_error)
        if stats:
            stats.value_loss += stats.weight * float(loss.mean())
        return np.asarray(slope * np.float32(2 * self._config.value_coef / len(values)))

    def parameters(self) -> Array:
        """See base.Gradient."""
        return self._vector.copy()

    def arrays(self) -> dict[str, Array]:
        """See base.Gradient."""
        return {"parameters": self._vector, **self._adam.arrays()}

    def load(self, arrays: dict[str, Array]) -> None:
        """See base.Gradient."""
        self._vector[:] = arrays["parameters"]
        self._adam.load(arrays)
