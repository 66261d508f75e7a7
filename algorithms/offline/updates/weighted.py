"""Engines of IQL, AWAC and CRR in torch, for a GPU: critics, and an actor that clones by the advantage of actions."""

from dataclasses import fields

import numpy as np
import torch
from torch import Tensor

from surreal.algorithms.devices import pick_device
from surreal.algorithms.offline.config import AWACConfig, CRRConfig, IQLConfig, WeightedConfig
from surreal.algorithms.offline.updates.objectives import Critics, bellman, drawn, expectile, weighted_cloning
from surreal.algorithms.offline.updates.weighted_byhand import value_layout
from surreal.algorithms.offpolicy.shape import Shape
from surreal.algorithms.offpolicy.updates.autograd import Trained
from surreal.algorithms.offpolicy.updates.base import Batch, Engine, Rates
from surreal.algorithms.offpolicy.updates.losses import Transitions, network
from surreal.algorithms.types import Array


class Weighted(Engine):
    """Parts that all three have. `Batch.noise` are draws [batch, number, action] at observations."""

    def __init__(self, shape: Shape, config: WeightedConfig, vectors: tuple[Array, Array]) -> None:
        """Begin with the parameters of actor and critics in `vectors`."""
        assert shape.actor is not None
        self._layout, self._config, self._device = shape.actor, config, pick_device(config.device)
        self._critics_of = Critics(shape.critic)
        self._actor = Trained(vectors[0], self._device, followed=True)
        self._critics = Trained(vectors[1], self._device, followed=True)

    def critic_step(self, batch: Batch, rate: float) -> tuple[Array, dict[str, float]]:
        """See base.Engine."""
        rows, target = self._rows(batch), self._critics.target
        assert target is not None
        with torch.no_grad():
            following = self._following(target, rows)
        loss, errors = bellman(self._critics_of, self._critics.vector, rows, following)
        self.skipped += not self._critics.step(loss, rate, self._config.max_grad_norm)
        return errors.cpu().numpy(), {"critic_loss": float(loss.detach()), "value_mean": float(following.mean())}

    def _following(self, target: Tensor, rows: Transitions) -> Tensor:
        """Return the value [rows] of the next observations: that of an action of the policy that follows slowly."""
        assert self._actor.target is not None
        seen = rows["next_observations"]
        actions = drawn(self._layout, self._actor.target, seen, rows["next_noise"], self._config.deviation)
        return self._critics_of.smallest(target, seen, actions)

    def actor_step(self, batch: Batch, rates: Rates) -> dict[str, float]:
        """See base.Engine."""
        rows = self._rows(batch)
        with torch.no_grad():
            advantages = self._advantages(rows)
            weights = self._weights(advantages).clamp(max=self._config.largest_weight)
        loss = weighted_cloning(self._layout, self._actor.vector, rows, weights, self._config.deviation)
        self.skipped += not self._actor.step(loss, rates.actor, self._config.max_grad_norm)
        return {
            "actor_loss": float(loss.detach()),
            "advantage": float(advantages.mean()),
            "weight": float(weights.mean()),
        }

    def _advantages(self, rows: Transitions) -> Tensor:
        """Return Q(s, a) less the mean value of actions of the policy (Wang et al. 2020, eq. 6; Nair et al. 2020)."""
        seen, noise, vector = rows["observations"], rows["noise"], self._critics.vector
        number = noise.shape[1]
        many = seen.repeat_interleave(number, dim=0)
        actions = drawn(self._layout, self._actor.vector, many, noise.flatten(0, 1), self._config.deviation)
        base = self._critics_of.smallest(vector, many, actions).view(-1, number).mean(dim=1)
        return self._critics_of.smallest(vector, seen, rows["actions"]) - base

    def _weights(self, advantages: Tensor) -> Tensor:
        """Return the weights [rows] of the recorded actions."""
        config = self._config
        if isinstance(config, CRRConfig):
            return (advantages > 0).float() if config.binary else (advantages / config.beta).exp()
        assert isinstance(config, AWACConfig)
        return (advantages / config.multiplier).exp()

    @torch.no_grad()
    def move_targets(self, share: float) -> None:
        """See base.Engine."""
        for trained in (self._critics, self._actor):
            if trained.target is not None:
                trained.target.lerp_(trained.vector, share)

    def policy(self) -> Array:
        """See base.Engine."""
        return np.asarray(self._actor.vector.detach().cpu().numpy().copy())

    def arrays(self) -> dict[str, Array]:
        """See base.Engine."""
        return {**self._critics.arrays("critics"), **self._actor.arrays("actor")}

    def load(self, arrays: dict[str, Array]) -> None:
        """See base.Engine."""
        self._critics.load("critics", arrays)
        self._actor.load("actor", arrays)

    def _rows(self, batch: Batch) -> Transitions:
        return {each.name: torch.as_tensor(getattr(batch, each.name), device=self._device) for each in fields(batch)}


class Implicit(Weighted):
    """IQL: a network of values in place of actions of the policy."""

    def __init__(self, shape: Shape, config: IQLConfig, vectors: tuple[Array, Array], values: Array) -> None:
        """Begin, besides, with the parameters `values` of the network of values."""
        super().__init__(shape, config, vectors)
        self._iql, self._value_layout = config, value_layout(shape)
        self._values = Trained(values, self._device, followed=False)

    def critic_step(self, batch: Batch, rate: float) -> tuple[Array, dict[str, float]]:
        """Step the values towards the expectile of the slow critics, then the critics towards r + d V(s')."""
        rows, target = self._rows(batch), self._critics.target
        assert target is not None
        with torch.no_grad():
            recorded = self._critics_of.smallest(target, rows["observations"], rows["actions"])
        loss = expectile(recorded - self._value(rows["observations"]), self._iql.expectile)
        self.skipped += not self._values.step(loss, rate, self._config.max_grad_norm)
        errors, metrics = super().critic_step(batch, rate)
        return errors, {**metrics, "expectile_loss": float(loss.detach())}

    def _following(self, target: Tensor, rows: Transitions) -> Tensor:
        return self._value(rows["next_observations"])

    def _advantages(self, rows: Transitions) -> Tensor:
        target = self._critics.target
        assert target is not None
        recorded = self._critics_of.smallest(target, rows["observations"], rows["actions"])
        return recorded - self._value(rows["observations"])

    def _weights(self, advantages: Tensor) -> Tensor:
        return (self._iql.temperature * advantages).exp()

    def _value(self, seen: Tensor) -> Tensor:
        return network(self._value_layout, self._values.vector, seen)[:, 0]

    def arrays(self) -> dict[str, Array]:
        """See base.Engine."""
        return {**super().arrays(), **self._values.arrays("values")}

    def load(self, arrays: dict[str, Array]) -> None:
        """See base.Engine."""
        super().load(arrays)
        self._values.load("values", arrays)
