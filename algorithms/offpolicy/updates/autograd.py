"""Gradients by torch's autograd: any device, flat parameters, fused Adam."""

from dataclasses import fields
from math import log
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from surreal.algorithms.devices import pick_device
from surreal.algorithms.offpolicy.shape import Shape
from surreal.algorithms.offpolicy.updates.base import Batch, Engine, Rates, Settings
from surreal.algorithms.offpolicy.updates.learned import BETA1, BETA2, EPSILON
from surreal.algorithms.offpolicy.updates.losses import Losses, Transitions
from surreal.algorithms.types import Array
from surreal.protocol.profiling.spans import NUMERIC, operation

Device = Literal["auto", "cpu", "cuda"]


class Trained:
    """One flat parameter with its optimizer, and its follower."""

    def __init__(self, vector: Array, device: torch.device, followed: bool) -> None:
        self.vector = torch.tensor(vector, dtype=torch.float32, device=device, requires_grad=True)
        self.target = self.vector.detach().clone() if followed else None
        self._adam = torch.optim.Adam([self.vector], lr=1.0, betas=(BETA1, BETA2), eps=EPSILON, fused=True)

    def step(self, loss: Tensor, rate: float, limit: float | None) -> bool:
        """Step by the gradient of `loss`, at most of norm `limit`. Returns False where it is not finite."""
        with operation("backward", NUMERIC):
            (grad,) = torch.autograd.grad(loss, [self.vector])
        norm = float(grad.norm())
        if not np.isfinite(norm):
            return False
        self.vector.grad = grad * (limit / norm) if limit is not None and norm > limit else grad
        self._adam.param_groups[0]["lr"] = rate
        with operation("optimizer", NUMERIC):
            self._adam.step()
        return True

    def arrays(self, name: str) -> dict[str, Array]:
        """Return what Learned.arrays returns, under the same names."""
        state = self._adam.state.get(self.vector, {})
        zeros = torch.zeros_like(self.vector)
        kept = {
            name: self.vector.detach(),
            f"{name}.sum1": state.get("exp_avg", zeros) / (1 - BETA1),
            f"{name}.sum2": state.get("exp_avg_sq", zeros) / (1 - BETA2),
            **({} if self.target is None else {f"{name}.target": self.target}),
        }
        steps = np.array([int(state.get("step", 0))])
        return {**{key: t.detach().cpu().numpy().copy() for key, t in kept.items()}, f"{name}.steps": steps}

    def load(self, name: str, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""
        device = self.vector.device
        with torch.no_grad():
            self.vector.copy_(torch.as_tensor(arrays[name]))
            if self.target is not None:
                self.target.copy_(torch.as_tensor(arrays[f"{name}.target"]))
        self._adam.state[self.vector] = {
            "step": torch.tensor(float(arrays[f"{name}.steps"][0]), device=device),
            "exp_avg": torch.tensor(arrays[f"{name}.sum1"] * np.float32(1 - BETA1), device=device),
            "exp_avg_sq": torch.tensor(arrays[f"{name}.sum2"] * np.float32(1 - BETA2), device=device),
        }


class Autograd(Engine):
    """Engine of every algorithm, told apart by the shape's kind alone."""

    def __init__(self, shape: Shape, settings: Settings, vectors: tuple[Array, Array], device: Device) -> None:
        """Begin with the parameters of actor and critics in `vectors`."""
        self._device, self._shape, self._settings = pick_device(device), shape, settings
        self._losses = Losses(shape, settings.double, settings.huber)
        self._critics = Trained(vectors[1], self._device, followed=True)
        self._actor = Trained(vectors[0], self._device, settings.target_actor) if shape.actor else None
        start = np.full(1, log(settings.temperature), dtype=np.float32)
        self._temperature = Trained(start, self._device, followed=False)
        self._soft = shape.kind in ("gaussian", "categorical")

    def critic_step(self, batch: Batch, rate: float) -> tuple[Array, dict[str, float]]:
        """See base.Engine."""
        critics, target = self._critics, self._critics.target
        assert target is not None
        acting = torch.zeros(0) if self._actor is None else self._actor.vector
        if self._actor is not None and self._actor.target is not None:
            acting = self._actor.target
        with operation("forward", NUMERIC):
            loss, errors = self._losses.critic(acting, critics.vector, target, self._alpha(), self._rows(batch))
        self.skipped += not critics.step(loss, rate, self._settings.max_grad_norm)
        return errors.cpu().numpy(), {"critic_loss": float((errors**2).mean() / 2)}

    def actor_step(self, batch: Batch, rates: Rates) -> dict[str, float]:
        """See base.Engine."""
        assert self._actor is not None
        rows = self._rows(batch)
        with operation("forward", NUMERIC):
            loss, entropy = self._losses.actor(self._actor.vector, self._critics.vector.detach(), self._alpha(), rows)
        self.skipped += not self._actor.step(loss, rates.actor, self._settings.max_grad_norm)
        metrics = {"actor_loss": float(loss.detach())}
        if not self._soft:
            return metrics
        target = self._settings.target_entropy
        if target is not None and bool(entropy.isfinite()):
            gap = self._temperature.vector.sum() * (entropy - target)
            self._temperature.step(gap, rates.temperature, None)
        return {**metrics, "entropy": float(entropy), "temperature": float(self._alpha())}

    @torch.no_grad()
    def move_targets(self, share: float) -> None:
        """See base.Engine."""
        for trained in (self._critics, self._actor):
            if trained is not None and trained.target is not None:
                trained.target.lerp_(trained.vector, share)

    def policy(self) -> Array:
        """See base.Engine."""
        acting = self._actor or self._critics
        return np.asarray(acting.vector[: self._shape.acting.size].detach().cpu().numpy().copy())

    def arrays(self) -> dict[str, Array]:
        """See base.Engine."""
        kept = self._critics.arrays("critics")
        if self._actor is not None:
            kept |= self._actor.arrays("actor")
        return kept | (self._temperature.arrays("temperature") if self._soft else {})

    def load(self, arrays: dict[str, Array]) -> None:
        """See base.Engine."""
        self._critics.load("critics", arrays)
        if self._actor is not None:
            self._actor.load("actor", arrays)
        if self._soft:
            self._temperature.load("temperature", arrays)

    def _alpha(self) -> Tensor:
        return self._temperature.vector.detach().exp()[0]

    def _rows(self, batch: Batch) -> Transitions:
        return {
            column.name: torch.as_tensor(getattr(batch, column.name), device=self._device) for column in fields(batch)
        }
