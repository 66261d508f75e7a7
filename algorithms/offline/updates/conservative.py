"""Engines in torch of CQL for Box actions, and of TD3+BC where there is a GPU."""

import numpy as np
import torch
from torch import Tensor

from surreal.algorithms.offline.updates.objectives import Critics, conservative_push, means
from surreal.algorithms.offpolicy.shape import Shape
from surreal.algorithms.offpolicy.updates.autograd import Autograd, Device
from surreal.algorithms.offpolicy.updates.base import Batch, Rates, Settings
from surreal.algorithms.offpolicy.updates.losses import network
from surreal.algorithms.types import Array


class Conservative(Autograd):
    """SAC whose critics are pushed down on actions that were not recorded; its batches have `draws`."""

    def __init__(
        self, shape: Shape, settings: Settings, vectors: tuple[Array, Array], device: Device, conservatism: float
    ) -> None:
        """Begin with the parameters of actor and critics in `vectors`."""
        super().__init__(shape, settings, vectors, device)
        self._weight, self._critics_of = conservatism, Critics(shape.critic)

    def critic_step(self, batch: Batch, rate: float) -> tuple[Array, dict[str, float]]:
        """See base.Engine: the loss of SAC, and alpha times the push."""
        rows, actor, critics = self._rows(batch), self._actor, self._critics
        assert actor is not None and critics.target is not None and self._shape.actor is not None
        loss, errors = self._losses.critic(actor.vector, critics.vector, critics.target, self._alpha(), rows)
        with torch.no_grad():
            outputs = [
                network(self._shape.actor, actor.vector, rows[name]) for name in ("observations", "next_observations")
            ]
        push = conservative_push(self._critics_of, critics.vector, (outputs[0], outputs[1]), rows)
        self.skipped += not critics.step(loss + self._weight * push, rate, self._settings.max_grad_norm)
        return errors.cpu().numpy(), {"critic_loss": float((errors**2).mean() / 2), "push": float(push.detach())}


class DrawnTorch(Autograd):
    """TD3+BC: see byhand.Drawn, the same gradient by hand."""

    def __init__(
        self, shape: Shape, settings: Settings, vectors: tuple[Array, Array], device: Device, alpha: float
    ) -> None:
        """Begin with the parameters of actor and critics in `vectors`."""
        super().__init__(shape, settings, vectors, device)
        self._weight, self._critics_of = alpha, Critics(shape.critic)

    def actor_step(self, batch: Batch, rates: Rates) -> dict[str, float]:
        """See base.Engine."""
        assert self._actor is not None and self._shape.actor is not None
        rows, first = self._rows(batch), self._critics.vector.detach()[: self._shape.critic.size]
        actions = means(self._shape.actor, self._actor.vector, rows["observations"])
        values = self._critics_of.smallest(first, rows["observations"], actions)
        loss = cloned_value(values, actions, rows["actions"], self._weight)
        self.skipped += not self._actor.step(loss, rates.actor, self._settings.max_grad_norm)
        return {"actor_loss": float(loss.detach())}


def cloned_value(values: Tensor, actions: Tensor, recorded: Tensor, alpha: float) -> Tensor:
    """Return -lambda mean Q + mean (pi - a)^2, lambda = alpha / mean |Q| (Fujimoto & Gu 2021, eq. 4 and 5)."""
    weight = alpha / values.detach().abs().mean().clamp(min=float(np.float32(1e-6)))
    return -weight * values.mean() + ((actions - recorded) ** 2).mean()
