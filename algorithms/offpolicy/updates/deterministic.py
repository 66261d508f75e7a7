"""DDPG (Lillicrap et al. 2016) and TD3 (Fujimoto et al. 2018): an actor that follows the slope of the critic."""

import numpy as np

from surreal.algorithms.offpolicy.mlp import Tape
from surreal.algorithms.offpolicy.updates.analytic import Analytic
from surreal.algorithms.offpolicy.updates.base import Batch
from surreal.algorithms.types import Array


class Deterministic(Analytic):
    """Engine of both: DDPG has one critic and no smoothing noise, TD3 two, the smaller of which counts."""

    def targets(self, rows: Batch) -> Array:
        """Return y = r + d min_i Q'_i(s', clip(pi'(s') + noise, -1, 1)) (Fujimoto et al. 2018, eq. 14)."""
        assert self.actor is not None
        actions = np.tanh((self.actor.targets or self.actor.networks)[0](rows.next_observations))
        if rows.next_noise.size:
            actions += rows.next_noise
            np.minimum(np.maximum(actions, -1.0, out=actions), 1.0, out=actions)
        inputs = np.concatenate([rows.next_observations, actions], axis=1)
        values = self.critics.targets[0](inputs)
        for network in self.critics.targets[1:]:
            np.minimum(values, network(inputs), out=values)
        return np.asarray(rows.rewards + rows.discounts * values[:, 0])

    def actor_rows(self, lane: int, rows: Batch, scale: np.float32) -> tuple[float, float]:
        """Write the gradient of -mean Q_1(s, tanh(pi(s))): d tanh = 1 - tanh^2."""
        assert self.actor is not None
        actor, critic = Tape(), Tape()
        actions = np.tanh(self.actor.networks[0](rows.observations, actor))
        first = self.critics.networks[0]
        values = first(np.concatenate([rows.observations, actions], axis=1), critic)
        slope = first.backward(critic, np.full_like(values, -scale), None, to_input=True)
        slope = slope[:, rows.observations.shape[1] :] * (1 - actions * actions)
        self.actor.networks[0].backward(actor, slope, self.actor.views[lane][0])
        return -float(values.sum()), 0.0
