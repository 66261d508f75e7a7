"""One IMPALA update: a single step on the fragments of a batch. Moves no data."""

from typing import Any

import numpy as np

from surreal.algorithms.impala.config import IMPALAConfig
from surreal.algorithms.impala.gradients import make_gradient
from surreal.algorithms.networks import Layout
from surreal.algorithms.rollouts.trajectories import Trajectories
from surreal.algorithms.types import Array


class Updater:
    """Parameters, optimizer and the generator of the replay: everything an update changes."""

    def __init__(self, layout: Layout, config: IMPALAConfig, seed: int) -> None:
        self._config = config
        self.rng = np.random.default_rng([seed, 0])
        self.gradient = make_gradient(layout, config, layout.initial(self.rng, config.log_std_init))
        self.skipped = 0
        """Steps that were not taken, for their gradient was not finite."""

    def update(self, data: Trajectories, progress: float) -> dict[str, float]:
        """Learn from fragments. `progress` in [0, 1] anneals the step size. Return metrics."""
        rate = self._rate(progress)
        metrics = self.gradient.step(data, rate)
        self.skipped += int(metrics.pop("skipped"))
        return {**metrics, "learning_rate": rate}

    def _rate(self, progress: float) -> float:
        left = 1 - progress if self._config.anneal else 1.0
        return self._config.learning_rate * left

    def parameters(self) -> Array:
        """Return a copy of the parameters [size]."""
        return self.gradient.parameters()

    def arrays(self) -> dict[str, Array]:
        """Return the tensors that a checkpoint needs."""
        return self.gradient.arrays()

    def state(self) -> dict[str, Any]:
        """Return the rest that a checkpoint needs, as JSON."""
        return {"rng": self.rng.bit_generator.state, "skipped": self.skipped}

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `arrays` and `state` returned."""
        self.gradient.load(arrays)
        self.rng.bit_generator.state = state["rng"]
        self.skipped = state["skipped"]
