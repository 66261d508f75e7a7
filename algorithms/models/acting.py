"""Policies for acting: numpy for the networks of this library, torch for one's own."""

from typing import Any

import numpy as np

from surreal.algorithms.models.actor_critic import ActorCritic
from surreal.algorithms.models.own import OwnPolicy, OwnShape
from surreal.algorithms.networks import Layout, Policy, Shape
from surreal.algorithms.types import Array


class ModelPolicy(Policy):
    """The policy of an ActorCritic; see `networks.Policy`."""

    def __init__(self, model: ActorCritic) -> None:
        self.discrete, self.outputs, self.state_size = model.spaces.discrete, model.outputs, model.state_size
        self._model = model
        self._vector = np.zeros(model.size, dtype=np.float32)
        self._views = model.views(self._vector)
        self._log_std = self._views.get("log_std")
        self._prepare()

    def load(self, vector: Array) -> None:
        """Take over the parameters [size]."""
        super().load(vector)
        self._prepare()

    def _prepare(self) -> None:
        """Bring the weights into the order that acting reads them in."""
        model, views = self._model, self._views
        self._encoder = model.encoders[0].acting(views)
        self._trunk, self._head = model.trunk.acting(views), model.policy.acting(views)
        self._memory = model.memory.acting(views) if model.memory else None

    def forward(self, observations: Any) -> Array:
        """Map observations [batch, ...] to outputs [batch, outputs], at the start of an episode."""
        return self.advance(observations, self.initial_state(_length(observations)))[0]

    def advance(self, observations: Any, state: Array) -> tuple[Array, Array]:
        """See Policy."""
        x = self._trunk(self._encoder(observations))
        if self._memory is not None:
            x, state = self._memory(x, state)
        return self._head(x), state


def _length(rows: Any) -> int:
    return len(next(iter(rows.values())) if isinstance(rows, dict) else rows)


def make_policy(layout: Layout) -> Policy:
    """Return the policy of a layout, for acting."""
    if isinstance(layout, OwnShape):
        return OwnPolicy(layout)
    if isinstance(layout, ActorCritic):
        return ModelPolicy(layout)
    assert isinstance(layout, Shape)
    return Policy(layout)
