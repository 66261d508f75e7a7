"""DQN (Mnih et al. 2015), double (van Hasselt et al. 2016) and dueling (Wang et al. 2016); the choice of an engine."""

import numpy as np

from surreal.algorithms.offpolicy.loops import NUMPY, Loops
from surreal.algorithms.offpolicy.shape import Kind, Shape, advantages_to_values
from surreal.algorithms.offpolicy.updates.analytic import Analytic, Deterministic
from surreal.algorithms.offpolicy.updates.base import Batch, Settings
from surreal.algorithms.offpolicy.updates.lanes import Lanes
from surreal.algorithms.offpolicy.updates.soft import SoftCategorical, SoftGaussian
from surreal.algorithms.types import Array


class Values(Analytic):
    """Engine of a network that values all choices, and acts by the largest."""

    def inputs(self, rows: Batch) -> Array:
        """See Analytic: values of all choices come from the observation alone."""
        return rows.observations

    def values(self, outputs: Array) -> Array:
        """Return values [rows, choices] of a network's outputs."""
        return advantages_to_values(outputs) if self.shape.dueling else outputs

    def taken(self, outputs: Array, rows: Batch) -> Array:
        """See Analytic."""
        return np.asarray(self.values(outputs)[np.arange(len(outputs)), rows.actions])

    def spread(self, outputs: Array, slope: Array, rows: Batch) -> Array:
        """See Analytic: Q_a = V + A_a - mean A has slope 1 by V, and 1[j = a] - 1 / choices by A_j."""
        d, index = np.zeros_like(outputs), np.arange(len(outputs))
        if not self.shape.dueling:
            d[index, rows.actions] = slope
            return d
        d[:, 1:] = -slope[:, None] / np.float32(outputs.shape[1] - 1)
        d[index, 1 + rows.actions] += slope
        d[:, 0] = slope
        return d

    def targets(self, rows: Batch) -> Array:
        """Return y = r + d Q'(s', argmax_a Q(s', a)); without `double` the target network chooses, too."""
        judged = self.values(self.critics.targets[0](rows.next_observations))
        chosen = judged
        if self.settings.double:
            chosen = self.values(self.critics.networks[0](rows.next_observations))
        best = judged[np.arange(len(judged)), chosen.argmax(axis=1)]
        return np.asarray(rows.rewards + rows.discounts * best)


ENGINES: dict[Kind, type[Analytic]] = {
    "deterministic": Deterministic,
    "gaussian": SoftGaussian,
    "categorical": SoftCategorical,
    "values": Values,
}


def make_engine(
    shape: Shape, settings: Settings, vectors: tuple[Array, Array], threads: int, loops: Loops = NUMPY
) -> Analytic:
    """Return the engine by hand of a shape's kind, which shares each batch among `threads` threads."""
    made = ENGINES[shape.kind](shape, settings, vectors, Lanes(threads), loops)
    made.whole = loops.lanes if has_lanes(shape) else None
    return made


def has_lanes(shape: Shape) -> bool:
    """Return True where the work of a whole lane can be compiled."""
    return shape.kind in ("deterministic", "gaussian") and not shape.layer_norm
