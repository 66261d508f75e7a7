"""Engines in torch of CQL and of TD3+BC where there is a GPU."""

import numpy as np
import torch
from torch import Tensor

from surreal.algorithms.offline.updates.objectives import Critics, conservative_push, means
from surreal.algorithms.offpolicy.shape import Shape
from surreal.algorithms.offpolicy.updates.autograd import Autograd, Device
from surreal.algorithms.offpolicy.updates.base import Batch, Rates, Settings
from surreal.algorithms.offpolicy.updates.losses import Transitions, network
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
        """See base.Engine: the loss without it, and alpha times the push."""
        rows, critics = self._rows(batch), self._critics
        assert critics.target is not None
        acting = torch.zeros(0) if self._actor is None else self._actor.vector
        loss, errors = self._losses.critic(acting, critics.vector, critics.target, self._alpha(), rows)
        push = self._push(rows)
        self.skipped += not critics.step(loss + self._weight * push, rate, self._settings.max_grad_norm)
        return errors.cpu().numpy(), {"critic_loss": float((errors**2).mean() / 2), "push": float(push.detach())}

    def _push(self, rows: Transitions) -> Tensor:
        """Return what is learned to be small besides: values of actions that were not recorded."""
        assert self._actor is not None and self._shape.actor is not None
        layout, actor = self._shape.actor, self._actor.vector.detach()
        here, after = (network(layout, actor, rows[name]) for name in ("observations", "next_observations"))
        return conservative_push(self._critics_of, self._critics.vector, (here, after), rows)


class ConservativeChoices(Conservative):
    """Double DQN whose values are pushed down on choices that were not recorded: see byhand.ConservativeValues."""

    def _push(self, rows: Transitions) -> Tensor:
        """Return mean log sum exp Q(s, .) - mean Q(s, a) (Kumar et al. 2020, eq. 4)."""
        values = network(self._shape.critic, self._critics.vector, rows["observations"])
        recorded = values.gather(1, rows["actions"][:, None])[:, 0]
        return (values.logsumexp(dim=1) - recorded).mean()


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
