"""PPO's losses as pure functions of torch tensors: the definition that every other form is tested against.

All tensors are [batch] or [batch, action] float32; means are over the batch.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from surreal.algorithms.distributions import FORBIDDEN
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


def gaussian(mean: Tensor, log_std: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """Log density of `actions` and entropy, both [batch], of diagonal Gaussians."""
    policy = torch.distributions.Independent(torch.distributions.Normal(mean, log_std.exp()), 1)
    return policy.log_prob(actions), policy.entropy()


def categorical(logits: Tensor, actions: Tensor, choices: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
    """Log probability of `actions` and entropy, both [batch], of the softmax of `logits` [batch, all choices].

    With several parts, of so many `choices` each, actions are [batch, parts]; both results are sums over the parts.
    """
    parts = [(logits, actions)]
    if len(choices) > 1:
        parts = list(zip(logits.split(choices, dim=-1), actions.unbind(-1), strict=True))
    policies = [(torch.distributions.Categorical(logits=each), choice) for each, choice in parts]
    log_probs = [policy.log_prob(choice) for policy, choice in policies]
    return torch.stack(log_probs).sum(0), torch.stack([policy.entropy() for policy, _ in policies]).sum(0)


def masked(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Return `logits` with those of forbidden choices, False in `mask`, so low that their probability is 0."""
    return logits if mask is None else logits.masked_fill(~mask, float(FORBIDDEN))


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
