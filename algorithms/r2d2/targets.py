"""Targets and priorities of R2D2 as pure functions of torch tensors, [batch, time] each.

Kapturowski et al. 2019, sections 2.2 and 2.3. The scale h is of Pohlen et al. 2018, proposition A.2.
"""

import torch
from torch import Tensor

EPSILON = 1e-3
"""Slope of h for large x, which keeps its inverse Lipschitz continuous."""


def rescale(x: Tensor) -> Tensor:
    """Return h(x) = sign(x) (sqrt(|x| + 1) - 1) + epsilon x, the difference as x / (sqrt(|x| + 1) + 1)."""
    return x / ((x.abs() + 1).sqrt() + 1) + EPSILON * x


def unscale(y: Tensor) -> Tensor:
    """Return h^-1(y) = sign(y) (((sqrt(1 + 4 epsilon (|y| + 1 + epsilon)) - 1) / (2 epsilon))^2 - 1).

    That form subtracts nearly equal numbers. Here v = sqrt(|x| + 1) - 1 is the positive root of
    epsilon v^2 + (1 + 2 epsilon) v = |y|, and |x| = v (v + 2).
    """
    size, slope = y.abs(), 1 + 2 * EPSILON
    v = 2 * size / (slope + (slope * slope + 4 * EPSILON * size).sqrt())
    return y.sign() * v * (v + 2)


def n_step_targets(
    rewards: Tensor, discounts: Tensor, steps: Tensor, values: Tensor, n: int, scaled: bool
) -> tuple[Tensor, Tensor]:
    """Return the targets [batch, time] of all rows, and the rows [batch, time] whose values they end in.

    rewards, discounts: [batch, time] of one step; a discount is 0 where the episode terminated. steps: [batch, time],
    False in rows that begin no step. values: [batch, time + 1] of the target network, on the scale h where `scaled`.
    A window has n steps, or fewer where its episode or the sequence ends. y = h(sum gamma^k r + gamma^m h^-1(Q)).
    """
    batch, time = rewards.shape
    total, factor = torch.zeros_like(rewards), torch.ones_like(rewards)
    rows = torch.arange(time, device=rewards.device).expand(batch, time)
    end = rows.clone()
    for k in range(n):
        at = (rows + k).clamp(max=time - 1)
        goes_on = (end == rows + k) & (rows + k < time) & steps.gather(1, at) & (factor != 0)
        total = total + torch.where(goes_on, factor * rewards.gather(1, at), 0.0)
        factor = torch.where(goes_on, factor * discounts.gather(1, at), factor)
        end = end + goes_on.long()
    last = values.gather(1, end)
    found = total + factor * (unscale(last) if scaled else last)
    return (rescale(found) if scaled else found), end


def priorities(errors: Tensor, steps: Tensor, eta: float) -> Tensor:
    """Return eta max |error| + (1 - eta) mean |error| [batch] over the rows of errors [batch, time] that are steps."""
    sizes = errors.abs() * steps
    mean = sizes.sum(1) / steps.sum(1).clamp(min=1)
    return eta * sizes.amax(1) + (1 - eta) * mean
