"""Losses of all algorithms in torch, as their papers write them: for the autograd engine, and to hold the others to."""

from collections.abc import Iterator
from math import log

import torch
from torch import Tensor
from torch.nn.functional import huber_loss, softplus

from surreal.algorithms.offpolicy.mlp import EPSILON, Layout
from surreal.algorithms.offpolicy.shape import LOG_STD, Shape
from surreal.algorithms.offpolicy.updates.soft import HALF_LOG_2PI

Transitions = dict[str, Tensor]
"""Fields of base.Batch by name."""


def network(layout: Layout, vector: Tensor, x: Tensor) -> Tensor:
    """Return the outputs [rows, out] of the network whose parameters are `vector` [size]."""
    pieces = vector.split([int(torch.Size(shape).numel()) for shape in layout.parts.values()])
    w = {name: piece.view(shape) for (name, shape), piece in zip(layout.parts.items(), pieces, strict=True)}
    for layer in range(layout.depth + 1):
        x = x @ w[f"weight{layer}"] + w[f"bias{layer}"]
        if layer < layout.depth:
            if layout.normed:
                x = torch.layer_norm(x, x.shape[1:], w[f"gain{layer}"], w[f"shift{layer}"], float(EPSILON))
            x = torch.relu(x)
    return x


class Losses:
    """Losses of one shape of networks."""

    def __init__(self, shape: Shape, double: bool, huber: bool) -> None:
        self._shape, self._double, self._huber = shape, double, huber

    def critic(
        self, actor: Tensor, critics: Tensor, targets: Tensor, alpha: Tensor, b: Transitions
    ) -> tuple[Tensor, Tensor]:
        """Return the loss, and the sizes of the errors [batch]; `actor` is the one that next actions come from."""
        with torch.no_grad():
            y = b["rewards"] + b["discounts"] * self._next_value(actor, critics, targets, alpha, b)
        loss, errors = torch.zeros((), device=y.device), torch.zeros_like(y)
        for vector in self._each(critics):
            taken = self._taken(vector, b)
            per_row = huber_loss(taken, y, reduction="none") if self._huber else 0.5 * (taken - y) ** 2
            loss = loss + (b["weights"] * per_row).mean()
            errors = errors + (taken - y).detach().abs()
        return loss, errors / self._shape.critics

    def actor(self, actor: Tensor, critics: Tensor, alpha: Tensor, b: Transitions) -> tuple[Tensor, Tensor]:
        """Return the loss of the actor and the mean entropy."""
        seen, layout = b["observations"], self._shape.actor
        assert layout is not None
        outputs = network(layout, actor, seen)
        if self._shape.kind == "deterministic":
            first = next(self._each(critics))
            value = network(self._shape.critic, first, torch.cat([seen, outputs.tanh()], dim=1))
            return -value.mean(), torch.zeros(())
        if self._shape.kind == "gaussian":
            actions, log_p = squashed(outputs, b["noise"])
            value = self._smallest(critics, torch.cat([seen, actions], dim=1))[:, 0]
            return (alpha * log_p - value).mean(), -log_p.detach().mean()
        log_p = outputs.log_softmax(dim=1)
        with torch.no_grad():
            values = self._smallest(critics, seen)
        loss = (log_p.exp() * (alpha * log_p - values)).sum(dim=1).mean()
        return loss, -(log_p.exp() * log_p).detach().sum(dim=1).mean()

    def _next_value(self, actor: Tensor, critics: Tensor, targets: Tensor, alpha: Tensor, b: Transitions) -> Tensor:
        """Return the value [batch] of the next observations."""
        seen, kind, layout = b["next_observations"], self._shape.kind, self._shape.actor
        if layout is None:
            judged = self._values(next(self._each(targets)), seen)
            chosen = self._values(next(self._each(critics)), seen) if self._double else judged
            return judged.gather(1, chosen.argmax(dim=1, keepdim=True))[:, 0]
        outputs = network(layout, actor, seen)
        if kind == "categorical":
            log_p = outputs.log_softmax(dim=1)
            return (log_p.exp() * (self._smallest(targets, seen) - alpha * log_p)).sum(dim=1)
        if kind == "gaussian":
            actions, log_p = squashed(outputs, b["next_noise"])
            return self._smallest(targets, torch.cat([seen, actions], dim=1))[:, 0] - alpha * log_p
        actions = outputs.tanh()
        if b["next_noise"].numel():
            actions = (actions + b["next_noise"]).clamp(-1, 1)
        return self._smallest(targets, torch.cat([seen, actions], dim=1))[:, 0]

    def _taken(self, vector: Tensor, b: Transitions) -> Tensor:
        if self._shape.kind in ("values", "categorical"):
            return self._values(vector, b["observations"]).gather(1, b["actions"][:, None])[:, 0]
        inputs = torch.cat([b["observations"], b["actions"]], dim=1)
        return network(self._shape.critic, vector, inputs)[:, 0]

    def _values(self, vector: Tensor, seen: Tensor) -> Tensor:
        outputs = network(self._shape.critic, vector, seen)
        if not self._shape.dueling:
            return outputs
        advantages = outputs[:, 1:]
        return outputs[:, :1] + advantages - advantages.mean(dim=1, keepdim=True)

    def _smallest(self, critics: Tensor, inputs: Tensor) -> Tensor:
        return torch.stack([network(self._shape.critic, vector, inputs) for vector in self._each(critics)]).amin(dim=0)

    def _each(self, critics: Tensor) -> Iterator[Tensor]:
        return iter(critics.view(-1, self._shape.critic.size).unbind(0))


def squashed(outputs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return a = tanh(mean + std noise) [rows, action] and log p(a) [rows] (Haarnoja et al. 2018, appendix C)."""
    mean, log_std = outputs.chunk(2, dim=1)
    log_std = log_std.clamp(*map(float, LOG_STD))
    u = mean + log_std.exp() * noise
    log_p = -0.5 * noise**2 - log_std - float(HALF_LOG_2PI) - 2 * (log(2) - u - softplus(-2 * u))
    return u.tanh(), log_p.sum(dim=1)
