"""Losses of methods that clone by advantage, and CQL's push, in torch: as the papers write them.

The policy of IQL, AWAC and CRR is Normal(tanh(network), deviation^2) with a fixed deviation, so that the
log-likelihood of a recorded action is -|a - mean|^2 / (2 deviation^2) up to a constant.
"""

from math import log

import torch
from torch import Tensor

from surreal.algorithms.offpolicy.mlp import Layout
from surreal.algorithms.offpolicy.updates.losses import Transitions, network, squashed

Vectors = dict[str, Tensor]
"""Parameters by name: `actor`, `critics`, `targets` and, of IQL, `values`."""


class Critics:
    """Critics of one layout, whose parameters lie one after another."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def each(self, vector: Tensor, seen: Tensor, actions: Tensor) -> Tensor:
        """Return the values [critics, rows] of actions."""
        inputs = torch.cat([seen, actions], dim=1)
        return torch.stack([network(self._layout, one, inputs)[:, 0] for one in self._split(vector)])

    def smallest(self, vector: Tensor, seen: Tensor, actions: Tensor) -> Tensor:
        """Return the smallest value [rows] of the critics."""
        return self.each(vector, seen, actions).amin(dim=0)

    def _split(self, vector: Tensor) -> tuple[Tensor, ...]:
        return vector.view(-1, self._layout.size).unbind(0)


def expectile(difference: Tensor, tau: float) -> Tensor:
    """Return mean |tau - 1(u < 0)| u^2 of u [rows] (Kostrikov et al. 2022, eq. 4)."""
    return ((difference < 0).float() - tau).abs().mul(difference**2).mean()


def means(layout: Layout, actor: Tensor, seen: Tensor) -> Tensor:
    """Return the means [rows, action] of a policy."""
    return network(layout, actor, seen).tanh()


def drawn(layout: Layout, actor: Tensor, seen: Tensor, noise: Tensor, deviation: float) -> Tensor:
    """Return actions [rows, action] of a policy, within +-1."""
    return (means(layout, actor, seen) + deviation * noise).clamp(-1, 1)


def weighted_cloning(layout: Layout, actor: Tensor, rows: Transitions, weights: Tensor, deviation: float) -> Tensor:
    """Return mean of -w log pi(a | s) over the rows, up to a constant; entries of an action add up."""
    error = means(layout, actor, rows["observations"]) - rows["actions"]
    return (weights * (error**2).sum(dim=1)).mean() / (2 * deviation**2)


def bellman(critics: Critics, vector: Tensor, rows: Transitions, following: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum over critics of mean (Q - r - d V')^2 / 2, and the mean sizes of the errors [rows]."""
    target = rows["rewards"] + rows["discounts"] * following
    errors = critics.each(vector, rows["observations"], rows["actions"]) - target
    return (errors**2).mean(dim=1).sum() / 2, errors.detach().abs().mean(dim=0)


def conservative_push(critics: Critics, vector: Tensor, outputs: tuple[Tensor, Tensor], rows: Transitions) -> Tensor:
    """Return the sum over critics of mean log sum exp Q - mean Q(s, a) (Kumar et al. 2020, appendix F).

    `outputs` are those of the actor [rows, 2 action] at observations and next observations. The sum is by importance:
    over uniform actions, of log density -action log 2, and over those of both policies with their own densities.
    rows["draws"] [rows, kinds, number, action] are numbers uniform in +-1, then standard normal.
    """
    seen, draws = rows["observations"], rows["draws"]
    number, width = draws.shape[2], draws.shape[3]
    many = seen.repeat_interleave(number, dim=0)
    uniform = draws[:, 0].reshape(-1, width)
    found = [critics.each(vector, many, uniform) + width * log(2.0)]
    for kind, out in enumerate(outputs, start=1):
        actions, log_p = squashed(out.repeat_interleave(number, dim=0), draws[:, kind].reshape(-1, width))
        found.append(critics.each(vector, many, actions) - log_p)
    every = torch.cat([each.view(len(each), len(seen), number) for each in found], dim=2)
    above = torch.logsumexp(every, dim=2) - log(every.shape[2])
    return (above - critics.each(vector, seen, rows["actions"])).mean(dim=1).sum()
