"""PPO's losses as pure functions of torch tensors: the definition that every other form is tested against.

All tensors are [batch] or [batch, action] float32; means are over the batch.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from surreal.algorithms.ppo.gradients.base import KL_HINGE


class Terms(NamedTuple):
    """The parts of the loss, each a scalar."""

    total: Tensor
    policy: Tensor
    value: Tensor
    entropy: Tensor
    kl: Tensor
    """Estimate of KL(behaviour || policy): mean of (ratio - 1) - log ratio (Schulman 2020, 'k3')."""
    clipped: Tensor
    """Share of ratios outside the clip range."""


def clipped_surrogate(ratio: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """Return -E[min(r A, clip(r, 1 - eps, 1 + eps) A)] (Schulman et al. 2017, eq. 7)."""
    return -torch.min(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages).mean()


def kl_penalty(kl: Tensor, beta: float, target: float) -> Tensor:
    """Return beta KL + 250 max(0, KL - 2 target)^2 (Schulman et al. 2017, eq. 8, with the hinge of SURREAL's PPO)."""
    return beta * kl + KL_HINGE * torch.clamp(kl - 2 * target, min=0).square()


def gaussian_kl(mean0: Tensor, log_std0: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Return the mean KL(0 || policy) of diagonal Gaussians."""
    squares = (log_std0 * 2).exp() + (mean0 - mean).square()
    return (log_std - log_std0 + squares / (2 * (log_std * 2).exp()) - 0.5).sum(-1).mean()


def categorical_kl(logits0: Tensor, logits: Tensor, choices: tuple[int, ...] = ()) -> Tensor:
    """Return the mean KL(0 || policy) of softmax policies, summed over their parts."""
    split = list(choices) or logits.shape[-1]
    pairs = zip(logits0.split(split, dim=-1), logits.split(split, dim=-1), strict=True)
    logs = [(each0.log_softmax(-1), each.log_softmax(-1)) for each0, each in pairs]
    return torch.stack([(log_p0.exp() * (log_p0 - log_p)).sum(-1) for log_p0, log_p in logs]).sum(0).mean()


def value_loss(values: Tensor, returns: Tensor, before: Tensor, clip: float | None) -> Tensor:
    """Return E[(V - R)^2], or with `clip` the larger of it and that of V kept within `clip` of its value before."""
    squares = (values - returns).square()
    if clip is None:
        return squares.mean()
    near = before + (values - before).clamp(-clip, clip)
    return torch.max(squares, (near - returns).square()).mean()
