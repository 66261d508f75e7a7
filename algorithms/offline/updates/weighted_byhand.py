"""Gradients by hand, in numpy: IQL, AWAC and CRR. weighted.py has the same in torch, for a GPU."""

from dataclasses import replace
from math import log

import numpy as np

from surreal.algorithms.offline.config import AWACConfig, CRRConfig, IQLConfig, WeightedConfig
from surreal.algorithms.offpolicy.loops import NUMPY, Loops
from surreal.algorithms.offpolicy.mlp import Layout, Tape
from surreal.algorithms.offpolicy.shape import Shape
from surreal.algorithms.offpolicy.updates.analytic import Deterministic, smallest
from surreal.algorithms.offpolicy.updates.base import Batch, Rates, Settings
from surreal.algorithms.offpolicy.updates.lanes import Lanes
from surreal.algorithms.offpolicy.updates.learned import Learned
from surreal.algorithms.types import Array


class WeightedByHand(Deterministic):
    """Parts that all three have. `Batch.noise` are draws [batch, number, action] at observations."""

    def __init__(
        self, shape: Shape, config: WeightedConfig, vectors: tuple[Array, Array], lanes: Lanes, loops: Loops = NUMPY
    ) -> None:
        """Begin with the parameters of actor and critics in `vectors`."""
        settings = Settings(target_actor=True, max_grad_norm=config.max_grad_norm)
        super().__init__(shape, settings, vectors, lanes, loops)
        self._config, self._deviation = config, np.float32(config.deviation)
        self._limit = np.float32(log(config.largest_weight))
        self._sums = np.zeros((lanes.count, 2))

    def targets(self, rows: Batch) -> Array:
        """Return y = r + d min_i Q'_i(s', a'), a' drawn from the policy that follows slowly."""
        return super().targets(replace(rows, next_noise=self._deviation * rows.next_noise))

    def actor_step(self, batch: Batch, rates: Rates) -> dict[str, float]:
        """See base.Engine."""
        metrics = super().actor_step(batch, rates)
        advantage, weight = (self._sums.sum(axis=0) / len(batch.rewards)).tolist()
        return {**metrics, "advantage": advantage, "weight": weight}

    def actor_rows(self, lane: int, rows: Batch, scale: np.float32) -> tuple[float, float]:
        """Write the gradient of mean w |tanh(pi(s)) - a|^2 / (2 deviation^2), the weights held fixed."""
        assert self.actor is not None
        tape, network = Tape(), self.actor.networks[0]
        means = np.tanh(network(rows.observations, tape))
        advantages = self.advantages(rows, means)
        weights = self.weights(advantages)
        self._sums[lane] = advantages.sum(), weights.sum()
        error = means - rows.actions
        slope = (weights / self._deviation**2)[:, None] * error
        loss = float(np.einsum("ij,ij->", slope, error)) / 2
        network.backward(tape, scale * slope * (1 - means * means), self.actor.views[lane][0])
        return loss, 0.0

    def advantages(self, rows: Batch, means: Array) -> Array:
        """Return Q(s, a) less the mean value of actions of the policy (Wang et al. 2020, eq. 6; Nair et al. 2020)."""
        number, networks = rows.noise.shape[1], self.critics.networks
        own = np.clip(means[:, None] + self._deviation * rows.noise, -1, 1).reshape(-1, means.shape[1])
        many = np.repeat(rows.observations, number, axis=0)
        base = smallest(networks, np.concatenate([many, own], axis=1)).reshape(-1, number).mean(axis=1)
        return np.asarray(smallest(networks, self.inputs(rows))[:, 0] - base)

    def weights(self, advantages: Array) -> Array:
        """Return the weights [rows] of the recorded actions."""
        config = self._config
        if isinstance(config, CRRConfig):
            if config.binary:
                return (advantages > 0).astype(np.float32)
            return self.bounded(advantages / np.float32(config.beta))
        assert isinstance(config, AWACConfig)
        return self.bounded(advantages / np.float32(config.multiplier))

    def bounded(self, exponents: Array) -> Array:
        """Return exp of `exponents`, at most the largest weight."""
        return np.asarray(np.exp(np.minimum(exponents, self._limit)))


class ImplicitByHand(WeightedByHand):
    """IQL (Kostrikov et al. 2022): a network of values in place of actions of the policy."""

    def __init__(
        self,
        shape: Shape,
        config: IQLConfig,
        vectors: tuple[Array, Array],
        values: Array,
        lanes: Lanes,
        loops: Loops = NUMPY,
    ) -> None:
        """Begin, besides, with the parameters `values` of the network of values."""
        super().__init__(shape, config, vectors, lanes, loops)
        self._iql, self._values = config, Learned(value_layout(shape), values, lanes, False, loops)

    def critic_step(self, batch: Batch, rate: float) -> tuple[Array, dict[str, float]]:
        """Step the values towards the expectile of the slow critics, then the critics towards r + d V(s')."""
        size, losses = len(batch.rewards), np.zeros(self.lanes.count)
        parts = self.lanes.parts(size)

        def fit(lane: int) -> None:
            losses[lane] = self._expectile(lane, batch.part(parts[lane]), np.float32(1 / size))

        self.lanes.run(fit)
        self.skipped += not self._values.step(rate, self.settings.max_grad_norm)
        errors, metrics = super().critic_step(batch, rate)
        return errors, {**metrics, "expectile_loss": float(losses.sum()) / size}

    def _expectile(self, lane: int, rows: Batch, scale: np.float32) -> float:
        """Write the gradient of mean |tau - 1(u < 0)| u^2, u = Q(s, a) - V(s) (eq. 4). Return the sum of the loss."""
        tape, network = Tape(), self._values.networks[0]
        difference = self._recorded(rows) - network(rows.observations, tape)[:, 0]
        tau = np.float32(self._iql.expectile)
        pull = np.where(difference < 0, 1 - tau, tau) * difference
        network.backward(tape, (-2 * scale * pull)[:, None], self._values.views[lane][0])
        return float(np.dot(pull, difference))

    def _recorded(self, rows: Batch) -> Array:
        """Return the value [rows] of the recorded actions by the critics that follow slowly."""
        return np.asarray(smallest(self.critics.targets, self.inputs(rows))[:, 0])

    def targets(self, rows: Batch) -> Array:
        """Return y = r + d V(s')."""
        return np.asarray(rows.rewards + rows.discounts * self._values.networks[0](rows.next_observations)[:, 0])

    def advantages(self, rows: Batch, means: Array) -> Array:
        """Return Q(s, a) - V(s)."""
        return np.asarray(self._recorded(rows) - self._values.networks[0](rows.observations)[:, 0])

    def weights(self, advantages: Array) -> Array:
        """Return exp(temperature x advantage) (eq. 7)."""
        return self.bounded(np.float32(self._iql.temperature) * advantages)

    def arrays(self) -> dict[str, Array]:
        """See base.Engine."""
        return {**super().arrays(), **self._values.arrays("values")}

    def load(self, arrays: dict[str, Array]) -> None:
        """See base.Engine."""
        super().load(arrays)
        self._values.load("values", arrays)


def value_layout(shape: Shape) -> Layout:
    """Return the layout of a network of values, of observations alone."""
    return Layout((shape.spaces.observation, *shape.hidden, 1))
