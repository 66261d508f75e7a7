"""Distributions of actions over a policy's outputs, in numpy: choices of one or several parts, and Gaussians.

Outputs of choices are the logits [..., all choices] of the parts, one after another; actions are counted from 0,
int64 [...] for one part and [..., parts] for several. The parts are independent given the observation. Outputs of a
Gaussian are its means.
"""

from collections.abc import Iterator

import numpy as np

from surreal.algorithms.environments.actions import chosen
from surreal.algorithms.types import F32, Array, Bool

FORBIDDEN = np.float32(-1e8)
"""Logit of a choice that a mask forbids: its probability is 0 in float32, and 0 times it is 0, as infinity's is not."""


def masked(logits: Array, mask: Bool | None) -> Array:
    """Return `logits` with those of forbidden choices set to FORBIDDEN; as they are where there is no mask."""
    return logits if mask is None else np.where(mask, logits, FORBIDDEN)


def gumbel(rng: np.random.Generator, shape: tuple[int, ...]) -> F32:
    """Draw noise whose sum with logits is largest at a sample of their softmax."""
    return rng.gumbel(size=shape).astype(np.float32)


def sample(logits: Array, noise: Array, choices: tuple[int, ...]) -> Array:
    """Return sampled choices; `noise` is Gumbel noise of the shape of `logits`."""
    return chosen(logits + noise, choices)


def parts(logits: Array, actions: Array, choices: tuple[int, ...]) -> Iterator[tuple[Array, Array]]:
    """Yield the logits [..., choices] and the choice [...] of each part of an action."""
    if len(choices) == 1:
        yield logits, actions
        return
    ends = np.cumsum(choices)
    for part, (n, end) in enumerate(zip(choices, ends, strict=True)):
        yield logits[..., end - n : end], actions[..., part]


def choices_log_prob(logits: Array, actions: Array, choices: tuple[int, ...]) -> Array:
    """Return the log-probability [...] of `actions`: the sum over their parts."""
    log_probs = [categorical_log_prob(each, choice) for each, choice in parts(logits, actions, choices)]
    return log_probs[0] if len(log_probs) == 1 else np.asarray(np.sum(log_probs, axis=0))


def categorical_log_prob(logits: Array, actions: Array) -> Array:
    """Log probability [...] of the choices `actions` [...] under `logits` [..., choices]."""
    log_p = log_softmax(logits)
    return np.asarray(np.take_along_axis(log_p, actions[..., None], axis=-1)[..., 0])


def gaussian_log_prob(mean: Array, log_std: Array, actions: Array) -> Array:
    """Log density [...] of a diagonal Gaussian at `actions` [..., action]."""
    z = (actions - mean) * np.exp(-log_std)
    constant = np.float32(log_std.sum() + 0.5 * mean.shape[-1] * np.log(2 * np.pi))
    return np.asarray(np.float32(-0.5) * np.einsum("...a,...a->...", z, z) - constant)


def log_softmax(logits: Array) -> Array:
    """Map logits [..., choices] to log probabilities."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def log_softmax_parts(logits: Array, choices: tuple[int, ...]) -> Array:
    """Map logits [..., all choices] to the log probabilities of the choices of each part."""
    if len(choices) == 1:
        return log_softmax(logits)
    return np.concatenate([log_softmax(each) for each in np.split(logits, np.cumsum(choices)[:-1], axis=-1)], axis=-1)
