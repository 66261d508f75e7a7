"""PPO's gradient by hand, in numpy, for tanh networks on a CPU.

Policy and value networks advance in one batched product per layer (networks.Shape), the backward pass writes in place
and Adam steps the one flat vector: what is left of a minibatch of 64 is mostly BLAS and tanh. The derivation of each
line is beside it; tests compare it with autograd on `loss.py`.
"""

import numpy as np

from surreal.algorithms.distributions import (
    choices_log_prob,
    gaussian_log_prob,
    log_softmax,
    log_softmax_parts,
    masked,
    parts,
)
from surreal.algorithms.models.memory import Memories
from surreal.algorithms.networks import Shape
from surreal.algorithms.ppo.batch import Batch, Minibatch
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients.base import BETA1, BETA2, EPSILON, KL_HINGE, Stats
from surreal.algorithms.rollouts.trajectories import Trajectories
from surreal.algorithms.types import Array

CHUNK = 1024
"""Rows of one forward pass outside the gradient: small enough to stay in the cache."""


class Analytic:
    """See base.Gradient."""

    def __init__(self, shape: Shape, config: PPOConfig, vector: Array) -> None:
        self._config, self._choices, self._depth = config, shape.spaces.choices, len(shape.hidden)
        self.clip = config.clip
        self._vector = np.array(vector, dtype=np.float32)
        self._grad = np.zeros_like(self._vector)
        self._w, self._g = shape.views(self._vector), shape.views(self._grad)
        self._moment1, self._moment2 = np.zeros_like(self._vector), np.zeros_like(self._vector)
        self._scratch = np.zeros_like(self._vector)
        self._steps = self._skipped = 0
        self.clip = config.clip

    def batch(self, data: Trajectories) -> Batch:
        """See base.Gradient."""
        return Batch(data)

    def values(self, rows: Array, memories: Memories | None = None) -> Array:
        """See base.Gradient."""
        return self._outputs(rows, head="value", net=1)[:, 0]

    def policy(self, rows: Array, memories: Memories | None = None) -> Array:
        """See base.Gradient."""
        return self._outputs(rows, head="policy", net=0)

    def _outputs(self, observations: Array, head: str, net: int) -> Array:
        weight, bias = self._w[f"{head}.weight"], self._w[f"{head}.bias"]
        out = np.empty((len(observations), weight.shape[1]), dtype=np.float32)
        for start in range(0, len(observations), CHUNK):
            x = observations[start : start + CHUNK]
            for layer in range(self._depth):
                x = x @ self._w[f"weight{layer}"][net]
                x += self._w[f"bias{layer}"][net]
                np.tanh(x, out=x)
            np.matmul(x, weight, out=out[start : start + CHUNK])
        out += bias
        return out

    def step(self, minibatch: Minibatch, learning_rate: float, beta: float, stats: Stats | None) -> None:
        """See base.Gradient."""
        self.differentiate(minibatch, beta, stats)
        self.apply(learning_rate)

    def differentiate(self, minibatch: Minibatch, beta: float, stats: Stats | None) -> Array:
        """See base.Gradient."""
        activations = self._forward(minibatch.observations)
        w = self._w
        out = activations[-1][0] @ w["policy.weight"]
        out += w["policy.bias"]
        out = masked(out, minibatch.masks)
        values = (activations[-1][1] @ w["value.weight"])[:, 0]
        values += w["value.bias"]
        d_out = self._policy_gradient(minibatch, out, beta, stats)
        d_values = self._value_gradient(minibatch, values, stats)
        self._backward(activations, d_out, d_values[:, None])
        return self._grad

    def apply(self, learning_rate: float) -> None:
        """See base.Gradient."""
        if not self._adam(learning_rate):
            self._skipped += 1

    def skipped(self) -> int:
        """See base.Gradient."""
        found, self._skipped = self._skipped, 0
        return found

    def _forward(self, observations: Array) -> list[Array]:
        """Return the activations [2, batch, width] of every layer, the input [1, batch, observation] first."""
        activations = [observations[None]]
        for layer in range(self._depth):
            x = np.matmul(activations[-1], self._w[f"weight{layer}"])
            x += self._w[f"bias{layer}"]
            np.tanh(x, out=x)
            activations.append(x)
        return activations

    def _policy_gradient(self, batch: Minibatch, out: Array, beta: float, stats: Stats | None) -> Array:
        """Return d loss / d (means or logits) [batch, action]; writes the gradient of log_std."""
        config, n = self._config, np.float32(1.0 / len(out))
        advantages = batch.advantages
        if config.normalize_advantages:
            advantages = advantages - advantages.mean()
            advantages /= np.sqrt(np.dot(advantages, advantages) * n) + np.float32(1e-8)
        log_probs = self._log_prob(out, batch.actions)
        log_ratio = log_probs - batch.log_probs
        ratio = np.exp(log_ratio)
        surrogate = ratio * advantages
        slope = surrogate * -n  # d(-mean r A) / d log p = -r A / n
        if config.objective == "clip":
            clipped = np.minimum(np.maximum(ratio, 1 - self.clip), 1 + self.clip) * advantages
            slope *= surrogate <= clipped  # where the clipped term is the smaller, it is flat
            surrogate = np.minimum(surrogate, clipped) if stats else surrogate
        d_out, entropy = self._through_distribution(out, batch.actions, slope)
        loss = -float(surrogate.mean()) if stats else 0.0
        if config.objective == "adaptive-kl":
            loss += self._kl_gradient(batch, out, d_out, beta)
        if stats:
            outside = float((np.abs(ratio - 1) > self.clip).mean())
            stats.add(loss, 0.0, entropy, float((ratio - 1 - log_ratio).mean()), outside)
        return d_out

    def _log_prob(self, out: Array, actions: Array) -> Array:
        if self._choices:
            return choices_log_prob(out, actions, self._choices)
        return gaussian_log_prob(out, self._w["log_std"], actions)

    def _through_distribution(self, out: Array, actions: Array, slope: Array) -> tuple[Array, float]:
        """Return d log p / d out times `slope` [batch], less the entropy bonus; and the mean entropy."""
        bonus = np.float32(self._config.entropy_coef)
        if self._choices:
            return self._through_choices(out, actions, slope, bonus)
        log_std = self._w["log_std"]
        inverse = np.exp(-log_std)
        z = (actions - out) * inverse
        d_out = slope[:, None] * z  # d log p / d mean = z / std;  d log p / d log_std = z^2 - 1
        self._g["log_std"][:] = np.einsum("ba,ba->a", d_out, z) - slope.sum() - bonus  # dH / d log_std = 1
        d_out *= inverse
        return d_out, float(log_std.sum() + 0.5 * len(log_std) * np.log(2 * np.pi * np.e))

    def _through_choices(self, out: Array, actions: Array, slope: Array, bonus: np.float32) -> tuple[Array, float]:
        """Return what `_through_distribution` does for choices, whose parts are independent."""
        d_out, entropy, rows, start = np.empty_like(out), 0.0, len(out), 0
        for logits, choice in parts(out, actions, self._choices):
            log_p = log_softmax(logits)
            p = np.exp(log_p)
            entropies = -(p * log_p).sum(axis=-1, keepdims=True)
            d_part = -p * slope[:, None]  # d log p_a / d logit_j = 1[j = a] - p_j
            d_part[np.arange(rows), choice] += slope
            if bonus:
                d_part += p * (log_p + entropies) * (bonus / rows)  # dH / d logit_j = -p_j (log p_j + H)
            d_out[:, start : start + p.shape[1]] = d_part
            start += p.shape[1]
            entropy += float(entropies.mean())
        return d_out, entropy

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
            log_std = self._w["log_std"]
            precision = np.exp(-2 * log_std)
            gap = out - reference
            squares = (np.exp(2 * log_std0) + gap * gap) * precision
            kl = float((log_std - log_std0 + 0.5 * squares - 0.5).sum(axis=-1).mean())
            d_kl, d_log_std = gap * precision, 1 - squares.mean(axis=0)
        over = max(0.0, kl - 2 * self._config.target_kl)
        weight = np.float32(beta + 2 * KL_HINGE * over)
        d_out += weight * n * d_kl
        if d_log_std is not None:
            self._g["log_std"] += weight * d_log_std
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
            stats.value_loss += float(loss.mean())
        return np.asarray(slope * np.float32(2 * self._config.value_coef / len(values)))

    def _backward(self, activations: list[Array], d_out: Array, d_values: Array) -> None:
        """Write the gradient of every weight and bias from those of the two heads."""
        w, g, last = self._w, self._g, activations[-1]
        np.matmul(last[0].T, d_out, out=g["policy.weight"])
        np.matmul(last[1].T, d_values, out=g["value.weight"])
        d_out.sum(axis=0, out=g["policy.bias"])
        d_values.sum(axis=0, out=g["value.bias"])
        d = np.empty_like(last)
        np.matmul(d_out, w["policy.weight"].T, out=d[0])
        np.matmul(d_values, w["value.weight"].T, out=d[1])
        for layer in range(self._depth - 1, -1, -1):
            h = activations[layer + 1]
            h *= h  # d tanh = 1 - tanh^2, in place: the activation is not needed again
            np.subtract(np.float32(1.0), h, out=h)
            d *= h
            below = activations[layer]
            np.matmul(below.transpose(0, 2, 1), d, out=g[f"weight{layer}"])
            d.sum(axis=1, keepdims=True, out=g[f"bias{layer}"])
            if layer:
                d = np.matmul(d, w[f"weight{layer}"].transpose(0, 2, 1))

    def _adam(self, learning_rate: float) -> bool:
        """Take a step of Adam (Kingma & Ba 2015) on the gradient clipped to its global norm."""
        grad, scratch = self._grad, self._scratch
        norm = float(np.sqrt(np.dot(grad, grad)))
        if not np.isfinite(norm):
            return False
        limit = self._config.max_grad_norm
        scale = 1.0 if limit is None or norm <= limit else limit / (norm + 1e-6)
        self._steps += 1
        self._moment1 *= np.float32(BETA1)
        self._moment1 += np.multiply(grad, np.float32((1 - BETA1) * scale), out=scratch)
        self._moment2 *= np.float32(BETA2)
        np.multiply(grad, grad, out=scratch)
        scratch *= np.float32((1 - BETA2) * scale * scale)
        self._moment2 += scratch
        correction = np.sqrt(1 - BETA2**self._steps)
        np.sqrt(self._moment2, out=scratch)
        scratch += np.float32(EPSILON * correction)
        np.divide(self._moment1, scratch, out=scratch)
        scratch *= np.float32(learning_rate * correction / (1 - BETA1**self._steps))
        self._vector -= scratch
        return True

    def parameters(self) -> Array:
        """See base.Gradient."""
        return self._vector.copy()

    def arrays(self) -> dict[str, Array]:
        """See base.Gradient."""
        steps = np.array([self._steps])
        return {"parameters": self._vector, "moment1": self._moment1, "moment2": self._moment2, "adam_steps": steps}

    def load(self, arrays: dict[str, Array]) -> None:
        """See base.Gradient."""
        self._vector[:], self._moment1[:] = arrays["parameters"], arrays["moment1"]
        self._moment2[:], self._steps = arrays["moment2"], int(arrays["adam_steps"][0])
