"""IMPALA's gradient by hand, in numpy, for two tanh networks on a CPU: one forward and one backward pass a step."""

import numpy as np

from surreal.algorithms.distributions import masked
from surreal.algorithms.impala.config import IMPALAConfig
from surreal.algorithms.impala.gradients.base import DECAY, correct, reported
from surreal.algorithms.models.optimizers import Adam, Optimizer, RMSprop
from surreal.algorithms.models.pair import Pair
from surreal.algorithms.networks import Shape
from surreal.algorithms.rollouts.trajectories import Trajectories
from surreal.algorithms.types import Array
from surreal.protocol.profiling.spans import NUMERIC, operation


class Analytic:
    """See base.Gradient."""

    def __init__(self, shape: Shape, config: IMPALAConfig, vector: Array) -> None:
        self._config, self._pair = config, Pair(shape, vector)
        self._optimizer = _optimizer(config, self._pair.vector)

    def step(self, data: Trajectories, rate: float) -> dict[str, float]:
        """See base.Gradient."""
        config, pair, n = self._config, self._pair, data.transitions
        rows, actions = data.rows(), data.actions.reshape(n, *data.actions.shape[2:])
        with operation("forward", NUMERIC):
            activations = pair.forward(rows[:n])
            out, values = pair.heads(activations[-1])
        out = masked(out, None if data.masks is None else data.masks[:-1].reshape(n, -1))
        every = np.concatenate([values, pair.values(rows[n:])])
        log_probs = pair.log_prob(out, actions)
        constants = correct(config, data, log_probs, every)
        share = np.float32(1.0 / n)
        # d(-mean A log pi) / d log pi = -A / n
        d_out, entropy = pair.through_distribution(out, actions, constants.advantages * -share, config.entropy_coef)
        error = values - constants.targets
        # d(c mean (V - v)^2) / d V = 2 c (V - v) / n
        d_values = error * (np.float32(2 * config.value_coef) * share)
        with operation("backward", NUMERIC):
            pair.backward(activations, d_out, d_values[:, None])
        with operation("optimizer", NUMERIC):
            taken = self._optimizer.step(pair.gradient, rate)
        policy = -float(np.dot(constants.advantages, log_probs)) / n
        return reported(constants, policy, float(np.dot(error, error)) / n, entropy, taken)

    def parameters(self) -> Array:
        """See base.Gradient."""
        return self._pair.vector.copy()

    def arrays(self) -> dict[str, Array]:
        """See base.Gradient."""
        return {"parameters": self._pair.vector, **self._optimizer.arrays()}

    def load(self, arrays: dict[str, Array]) -> None:
        """See base.Gradient."""
        self._pair.vector[:] = arrays["parameters"]
        self._optimizer.load(arrays)


def _optimizer(config: IMPALAConfig, vector: Array) -> Optimizer:
    if config.optimizer == "adam":
        return Adam(vector, config.max_grad_norm, config.optimizer_epsilon)
    return RMSprop(vector, config.max_grad_norm, config.optimizer_epsilon, DECAY)
