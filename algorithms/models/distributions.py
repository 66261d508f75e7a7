"""Distributions of actions over a policy's outputs in torch, which differentiates them; in numpy: `distributions`.

All tensors are [batch] or [batch, action] float32. Arguments are not validated: that would wait for the device at every
step, and what is not finite makes a gradient that is left out.
"""

import torch
from torch import Tensor

from surreal.algorithms.distributions import FORBIDDEN
from surreal.algorithms.networks import LOG_STD_RANGE


def gaussian(mean: Tensor, log_std: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """Log density of `actions` and entropy, both [batch], of diagonal Gaussians."""
    normal = torch.distributions.Normal(mean, log_std.exp(), validate_args=False)
    policy = torch.distributions.Independent(normal, 1, validate_args=False)
    return policy.log_prob(actions), policy.entropy()


def categorical(logits: Tensor, actions: Tensor, choices: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
    """Log probability of `actions` and entropy, both [batch], of the softmax of `logits` [batch, all choices].

    With several parts, of so many `choices` each, actions are [batch, parts]; both results are sums over the parts.
    """
    parts = [(logits, actions)]
    if len(choices) > 1:
        parts = list(zip(logits.split(choices, dim=-1), actions.unbind(-1), strict=True))
    policies = [(torch.distributions.Categorical(logits=each, validate_args=False), choice) for each, choice in parts]
    log_probs = [policy.log_prob(choice) for policy, choice in policies]
    return torch.stack(log_probs).sum(0), torch.stack([policy.entropy() for policy, _ in policies]).sum(0)


def masked(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Return `logits` with those of forbidden choices, False in `mask`, so low that their probability is 0."""
    return logits if mask is None else logits.masked_fill(~mask, float(FORBIDDEN))


def parted(out: Tensor, log_std: Tensor | None, choices: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
    """Return logits and None, or means and log standard deviations, of the outputs [batch, outputs] of a policy.

    log_std: [action] parameters of a Gaussian policy; None where the outputs hold them too, and for choices.
    """
    if choices or log_std is not None:
        return out, log_std
    mean, log_std = out.chunk(2, dim=-1)
    return mean, log_std.clamp(*LOG_STD_RANGE)


def log_prob(mean: Tensor, log_std: Tensor | None, actions: Tensor, choices: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the log-probability of `actions` and the entropy, both [batch], of what `parted` returned."""
    return categorical(mean, actions, choices) if log_std is None else gaussian(mean, log_std, actions)
