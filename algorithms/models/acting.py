"""Policies for acting: numpy for the networks of this library, torch for one's own."""

from typing import Any

import numpy as np

from surreal.algorithms.computation.graph import Computation
from surreal.algorithms.models.actor_critic import GSDE, GSDE_EPSILON, ActorCritic
from surreal.algorithms.models.own import OwnPolicy, OwnShape
from surreal.algorithms.networks import LOG_STD_RANGE, Layout, Policy, Shape
from surreal.algorithms.types import Array


class ModelPolicy(Policy):
    """The policy of an ActorCritic; see `networks.Policy`."""

    def __init__(self, model: ActorCritic) -> None:
        self.choices, self.outputs, self.state_size = model.spaces.choices, model.outputs, model.state_size
        self._model, self.squash = model, model.squash
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
        self._encode = model.encoders[0].acting(views)
        self._between, self._out = model.trunk.acting(views), model.policy.acting(views)
        self._memory = model.memory.acting(views) if model.memory else None

    def forward(self, observations: Any) -> Array:
        """Map observations [batch, ...] to outputs [batch, outputs], at the start of an episode."""
        return self.advance(observations, self.initial_state(_length(observations)))[0]

    def advance(self, observations: Any, state: Array) -> tuple[Array, Array]:
        """See Policy."""
        x = self._between(self._encode(observations))
        if self._memory is not None:
            x, state = self._memory(x, state)
        return self._out(x), state

    def symbolic(self, graph: Computation, rows: Any, state: str) -> tuple[str, str]:
        """See Policy."""
        model, views = self._model, self._views
        x = model.trunk.symbolic(graph, views, model.encoders[0].symbolic(graph, views, rows))
        if model.memory is not None:
            x, state = model.memory.symbolic(graph, views, x, state)
        return model.policy.symbolic(graph, views, x), state


class StatePolicy(ModelPolicy):
    """A Gaussian policy whose outputs are means and log standard deviations side by side."""

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """See Policy: of a whole fragment, each with standard deviation 1."""
        return rng.standard_normal((*shape[:-1], shape[-1] // 2), dtype=np.float32)

    def act(self, out: Array, noise: Array) -> Array:
        """See Policy."""
        mean, log_std = _parted(out)
        return np.asarray(mean + np.exp(log_std) * noise)

    def best(self, out: Array) -> Array:
        """See Policy."""
        return _parted(out)[0]

    def symbolic(self, graph: Computation, rows: Any, state: str) -> tuple[str, str]:
        """See Policy: the means alone."""
        out, state = super().symbolic(graph, rows, state)
        return graph.columns(out, 0, self.outputs // 2), state

    def log_prob(self, outs: Array, actions: Array) -> Array:
        """See Policy."""
        mean, log_std = _parted(outs)
        z = (actions - mean) * np.exp(-log_std)
        half = np.float32(0.5 * mean.shape[-1] * np.log(2 * np.pi))
        return np.asarray(np.float32(-0.5) * (z * z).sum(axis=-1) - log_std.sum(axis=-1) - half)


class GSDEPolicy(StatePolicy):
    """A Gaussian policy with gSDE: the noise of a step is a matrix that was drawn before times the features there."""

    def _prepare(self) -> None:
        super()._prepare()
        policy, views = self._model.policy, self._views
        self._inside, self._last = policy.acting_inside(views), policy.acting_last(views)
        self._std = np.exp(views[GSDE])
        self._features = np.empty((0, policy.features), dtype=np.float32)
        self._out = self._outputs

    def _outputs(self, x: Array) -> Array:
        """Return means and log standard deviations, and keep the features that `act` needs."""
        self._features = self._inside(x)
        variance = (self._features * self._features) @ (self._std * self._std)
        log_std = np.float32(0.5) * np.log(variance + np.float32(GSDE_EPSILON))
        return np.concatenate([self._last(self._features), log_std], axis=-1)

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        """Draw matrices [copies, features, action] for each step of a fragment, or for one step alone.

        Copies of an environment have matrices of their own, which stay for `gsde_steps` steps.
        """
        *steps, copies, _ = shape
        every = self._model.gsde_steps or max(1, *steps, 1)
        count = -(-steps[0] // every) if steps else 1
        drawn = rng.standard_normal((count, copies, *self._std.shape), dtype=np.float32) * self._std
        return [drawn[step // every] for step in range(steps[0])] if steps else drawn[0]

    def act(self, out: Array, noise: Array) -> Array:
        """See Policy: for the observations of the last `advance`."""
        return np.asarray(_parted(out)[0] + np.einsum("cf,cfa->ca", self._features, noise))

    def symbolic(self, graph: Computation, rows: Any, state: str) -> tuple[str, str]:
        """See Policy: means alone, which are what the network gives without its noise."""
        return ModelPolicy.symbolic(self, graph, rows, state)


def _parted(outs: Array) -> tuple[Array, Array]:
    mean, log_std = np.split(outs, 2, axis=-1)
    return mean, np.clip(log_std, *LOG_STD_RANGE)


def _length(rows: Any) -> int:
    return len(next(iter(rows.values())) if isinstance(rows, dict) else rows)


def make_policy(layout: Layout) -> Policy:
    """Return the policy of a layout, for acting."""
    if isinstance(layout, OwnShape):
        return OwnPolicy(layout)
    if isinstance(layout, ActorCritic):
        if layout.gsde:
            return GSDEPolicy(layout)
        return StatePolicy(layout) if layout.state_dependent else ModelPolicy(layout)
    assert isinstance(layout, Shape)
    return Policy(layout)
