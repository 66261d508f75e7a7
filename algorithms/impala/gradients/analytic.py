"""IMPALA's gradient by hand, in numpy on a CPU (models.byhand): one forward and one backward pass a step."""

import numpy as np

from surreal.algorithms.distributions import masked
from surreal.algorithms.environments.rows import at
from surreal.algorithms.impala.config import Decided, IMPALAConfig
from surreal.algorithms.impala.gradients.base import DECAY, correct, reported
from surreal.algorithms.models.byhand import make_network
from surreal.algorithms.models.optimizers import Adam, Optimizer, RMSprop
from surreal.algorithms.networks import Layout
from surreal.algorithms.rollouts.trajectories import Trajectories
from surreal.algorithms.types import Array
from surreal.protocol.profiling.spans import NUMERIC, operation


class Analytic:
    """See base.Gradient."""

    def __init__(self, layout: Layout, config: IMPALAConfig, vector: Array) -> None:
        config = config.of(layout)
        self._config, self._network = config, make_network(layout, vector, config.compiles)
        self._optimizer = _optimizer(config, self._network.vector)

    def step(self, data: Trajectories, rate: float) -> dict[str, float]:
        """See base.Gradient."""
        config, network, n = self._config, self._network, data.transitions
        rows, actions = data.rows(), data.actions.reshape(n, *data.actions.shape[2:])
        with operation("forward", NUMERIC):
            out, values = network.outputs(at(rows, slice(n)))
        out = masked(out, None if data.masks is None else data.masks[:-1].reshape(n, -1))
        every = np.concatenate([values, network.values(at(rows, slice(n, None)))])
        log_probs = network.log_prob(out, actions)
        constants = correct(config, data, log_probs, every)
        share = np.float32(1.0 / n)
        # d(-mean A log pi) / d log pi = -A / n
        d_out, entropy = network.through_distribution(out, actions, constants.advantages * -share, config.entropy_coef)
        error = values - constants.targets
        # d(c mean (V - v)^2) / d V = 2 c (V - v) / n
        d_values = error * (np.float32(2 * config.value_coef) * share)
        with operation("backward", NUMERIC):
            network.backward(d_out, d_values)
        with operation("optimizer", NUMERIC):
            taken = self._optimizer.step(network.gradient, rate)
        policy = -float(np.dot(constants.advantages, log_probs)) / n
        return reported(constants, policy, float(np.dot(error, error)) / n, entropy, taken)

    def parameters(self) -> Array:
        """See base.Gradient."""
        return self._network.vector.copy()

    def arrays(self) -> dict[str, Array]:
        """See base.Gradient."""
        return {"parameters": self._network.vector, **self._optimizer.arrays()}

    def load(self, arrays: dict[str, Array]) -> None:
        """See base.Gradient."""
        self._network.vector[:] = arrays["parameters"]
        self._optimizer.load(arrays)


def _optimizer(config: Decided, vector: Array) -> Optimizer:
    if config.optimizer == "adam":
        return Adam(vector, config.max_grad_norm, config.optimizer_epsilon)
    return RMSprop(vector, config.max_grad_norm, config.optimizer_epsilon, DECAY)
