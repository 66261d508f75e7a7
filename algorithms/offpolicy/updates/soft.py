"""Soft actor-critic: Haarnoja et al. 2018 (arXiv:1812.05905) for Box actions, Christodoulou 2019 for Discrete ones."""

from math import log, pi
from typing import Any

import numpy as np

from surreal.algorithms.offpolicy.loops import LaneLoops
from surreal.algorithms.offpolicy.mlp import Tape
from surreal.algorithms.offpolicy.shape import LOG_STD
from surreal.algorithms.offpolicy.updates.analytic import Analytic, smallest
from surreal.algorithms.offpolicy.updates.base import Batch, Rates
from surreal.algorithms.offpolicy.updates.learned import Adam
from surreal.algorithms.types import Array

HALF_LOG_2PI = np.float32(0.5 * log(2 * pi))


class Temperature:
    """Weight alpha of the entropy, learned as its logarithm so that it stays positive."""

    def __init__(self, initial: float, target_entropy: float | None) -> None:
        """Keep `initial` where `target_entropy` is None."""
        self._log = np.full(1, np.float32(log(initial)), dtype=np.float32)
        self._target, self._adam = target_entropy, Adam(1)

    @property
    def value(self) -> np.float32:
        """Return alpha."""
        return np.float32(np.exp(self._log[0]))

    def step(self, entropy: float, rate: float) -> None:
        """Step by the gradient of log alpha (entropy - target): up where the policy has less entropy than it should."""
        if self._target is None or not np.isfinite(entropy):
            return
        self._adam.steps += 1
        self._adam.step(self._log, np.full(1, entropy - self._target, dtype=np.float32), rate, slice(0, 1))

    def arrays(self) -> dict[str, Array]:
        """Return everything a checkpoint needs."""
        return {"temperature": self._log, **{f"temperature.{key}": a for key, a in self._adam.arrays().items()}}

    def load(self, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""
        self._log[:] = arrays["temperature"]
        self._adam.load({key: arrays[f"temperature.{key}"] for key in self._adam.arrays()})


class Soft(Analytic):
    """Parts of both kinds: the temperature."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.temperature = Temperature(self.settings.temperature, self.settings.target_entropy)

    def after_actor(self, entropy: float, rates: Rates) -> dict[str, float]:
        """Step the temperature. Returns it, and the entropy."""
        self.temperature.step(entropy, rates.temperature)
        return {"entropy": entropy, "temperature": float(self.temperature.value)}

    def arrays(self) -> dict[str, Array]:
        """See base.Engine."""
        return {**super().arrays(), **self.temperature.arrays()}

    def load(self, arrays: dict[str, Array]) -> None:
        """See base.Engine."""
        super().load(arrays)
        self.temperature.load(arrays)


class SoftGaussian(Soft):
    """Engine for Box actions: a = tanh(u), u Gaussian."""

    def _sample(self, outputs: Array, noise: Array) -> tuple[Array, Array, Array]:
        """Return actions [rows, action], their log-probabilities [rows] and the deviations [rows, action].

        log p(a) = log N(u) - sum log(1 - tanh(u)^2), with log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u)).
        """
        width = noise.shape[1]
        log_std = np.clip(outputs[:, width:], *LOG_STD)
        std = np.exp(log_std)
        u = outputs[:, :width] + std * noise
        log_p = np.float32(-0.5) * noise * noise - log_std - HALF_LOG_2PI
        log_p -= 2 * (np.float32(log(2)) - u - np.logaddexp(np.float32(0), -2 * u))
        return np.tanh(u), np.asarray(log_p.sum(axis=1)), std

    def targets(self, rows: Batch) -> Array:
        """Return y = r + d (min_i Q'_i(s', a') - alpha log p(a')), a' of the present policy."""
        assert self.actor is not None
        actions, log_p, _ = self._sample(self.actor.networks[0](rows.next_observations), rows.next_noise)
        values = smallest(self.critics.targets, np.concatenate([rows.next_observations, actions], axis=1))[:, 0]
        return np.asarray(rows.rewards + rows.discounts * (values - self.temperature.value * log_p))

    def next_inputs(self, whole: LaneLoops, rows: Batch, inputs: Array) -> Any:
        """See Analytic."""
        assert self.actor is not None
        actor, bonus = self.actor, np.empty(len(inputs), dtype=np.float32)
        seen, alpha = (rows.next_observations, rows.next_noise), self.temperature.value
        whole.squashed_next(actor.vector, actor.widths, *seen, inputs, alpha, bonus)
        return bonus

    def _actor_whole(self, whole: LaneLoops, lane: int, rows: Batch, scale: np.float32) -> tuple[float, float]:
        """Write the gradient in compiled code. Returns what `actor_rows` does."""
        assert self.actor is not None
        actor, critics = (self.actor.vector, self.actor.widths), self.critics
        judges = (critics.each(critics.vector), critics.widths)
        drawn = (rows.observations, rows.noise, self.temperature.value, scale)
        loss, entropy = whole.gaussian_actor(*actor, *judges, *drawn, self.actor.gradients(lane)[0])
        return float(loss), float(entropy)

    def actor_rows(self, lane: int, rows: Batch, scale: np.float32) -> tuple[float, float]:
        """Write the gradient of mean(alpha log p(a) - min_i Q_i(s, a)), a = tanh(mean + std noise)."""
        assert self.actor is not None
        if self.whole:
            return self._actor_whole(self.whole, lane, rows, scale)
        tape, alpha, width = Tape(), self.temperature.value, rows.noise.shape[1]
        outputs = self.actor.networks[0](rows.observations, tape)
        actions, log_p, std = self._sample(outputs, rows.noise)
        values, slope = self._slope(np.concatenate([rows.observations, actions], axis=1), scale)
        # d loss / d u = d(-Q) / d a (1 - a^2) + alpha d log p / d u, and d log p / d u = 2 a at fixed noise
        d_u = slope[:, -width:] * (1 - actions * actions) + (2 * alpha * scale) * actions
        # u = mean + std noise; log p has -log std besides
        d_log_std = d_u * std * rows.noise - alpha * scale
        d_log_std *= (outputs[:, width:] > LOG_STD[0]) & (outputs[:, width:] < LOG_STD[1])
        self.actor.networks[0].backward(tape, np.concatenate([d_u, d_log_std], axis=1), self.actor.views[lane][0])
        return float((alpha * log_p - values).sum()), -float(log_p.sum())

    def _slope(self, inputs: Array, scale: np.float32) -> tuple[Array, Array]:
        """Return min_i Q_i [rows], and -scale times its slope by the inputs: each row's smaller critic's."""
        tapes = [Tape() for _ in self.critics.networks]
        values = np.stack([net(inputs, tape)[:, 0] for net, tape in zip(self.critics.networks, tapes, strict=True)])
        critic, slope = values.argmin(axis=0), np.empty_like(inputs)
        for number, (network, tape) in enumerate(zip(self.critics.networks, tapes, strict=True)):
            rows = np.flatnonzero(critic == number)
            d = np.full((len(rows), 1), -scale, dtype=np.float32)
            slope[rows] = network.backward(tape.rows(rows), d, None, to_input=True)
        return values.min(axis=0), slope


class SoftCategorical(Soft):
    """Engine for Discrete actions: expectations over all choices instead of samples."""

    def inputs(self, rows: Batch) -> Array:
        """See Analytic: values of all choices come from the observation alone."""
        return rows.observations

    def taken(self, outputs: Array, rows: Batch) -> Array:
        """See Analytic."""
        return np.asarray(outputs[np.arange(len(outputs)), rows.actions])

    def spread(self, outputs: Array, slope: Array, rows: Batch) -> Array:
        """See Analytic: only the taken choice has a slope."""
        d = np.zeros_like(outputs)
        d[np.arange(len(outputs)), rows.actions] = slope
        return d

    def targets(self, rows: Batch) -> Array:
        """Return y = r + d sum_a p(a|s') (min_i Q'_i(s', a) - alpha log p(a|s'))."""
        assert self.actor is not None
        log_p = log_softmax(self.actor.networks[0](rows.next_observations))
        values = smallest(self.critics.targets, rows.next_observations) - self.temperature.value * log_p
        return np.asarray(rows.rewards + rows.discounts * np.einsum("ij,ij->i", np.exp(log_p), values))

    def actor_rows(self, lane: int, rows: Batch, scale: np.float32) -> tuple[float, float]:
        """Write the gradient of mean sum_a p(a) f(a), f = alpha log p - min_i Q_i, the values held fixed.

        d / d logit_j = p_j (f_j - sum_a p_a f_a): the term of d log p sums to zero.
        """
        assert self.actor is not None
        tape, alpha = Tape(), self.temperature.value
        log_p = log_softmax(self.actor.networks[0](rows.observations, tape))
        p = np.exp(log_p)
        values = np.min([network(rows.observations) for network in self.critics.networks], axis=0)
        f = alpha * log_p - values
        loss = np.einsum("ij,ij->i", p, f)
        self.actor.networks[0].backward(tape, p * (f - loss[:, None]) * scale, self.actor.views[lane][0])
        return float(loss.sum()), -float((p * log_p).sum())


def log_softmax(logits: Array) -> Array:
    """Return log probabilities of logits [rows, choices]."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
