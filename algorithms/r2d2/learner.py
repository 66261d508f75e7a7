"""Learner: batches of sequences in, weights and priorities out; and its state, all of which is in a checkpoint."""

from collections.abc import Mapping
from contextlib import closing
from logging import getLogger
from typing import Any

import numpy as np

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.models.summary import summary
from surreal.algorithms.normalizers import Standardizer, standardized_size
from surreal.algorithms.r2d2.config import R2D2Config
from surreal.algorithms.r2d2.network import RECURRENT_VALUES, RecurrentValues, make_layout
from surreal.algorithms.r2d2.update import Updater
from surreal.algorithms.recording.checkpoint import Checkpoint
from surreal.algorithms.recording.policy_record import describe
from surreal.algorithms.replay_learning.learner import ReplayLearner
from surreal.algorithms.replay_learning.state import ReplayState
from surreal.algorithms.training_loop import train
from surreal.algorithms.types import Array
from surreal.protocol.errors import ExitCode
from surreal.protocol.worker.process import Process

log = getLogger(__name__)


def network_data(config: R2D2Config) -> dict[str, Any]:
    """Return the kind and the settings of the network, for the description of a policy."""
    return {
        "kind": RECURRENT_VALUES,
        "network": config.network.model_dump(),
        "hidden": list(config.hidden),
        "dueling": config.dueling,
    }


class State(ReplayState):
    """State that learning changes."""

    def __init__(self, layout: RecurrentValues, config: R2D2Config, seed: int) -> None:
        super().__init__(config)
        self._spaces: Spaces = layout.spaces
        self.updater = Updater(layout, config, layout.initial(np.random.default_rng([seed, 0])))

    @property
    def skipped(self) -> int:
        """See ReplayState."""
        return self.updater.skipped

    def acting(self) -> Array:
        """See ReplayState."""
        return self.updater.parameters()

    def standardizer(self) -> Standardizer:
        """See ReplayState: observations are taken as they are."""
        return Standardizer.identity(standardized_size(self._spaces))

    def learn(self, arrays: Mapping[str, Array], weights: Array) -> tuple[Array, dict[str, float]]:
        """See ReplayState."""
        found = self.updater.learn(arrays, weights)
        self.gradient_steps += 1
        return found

    def checkpoint(self) -> Checkpoint:
        """See ReplayState."""
        arrays = {f"updater.{name}": array for name, array in self.updater.arrays().items()}
        return Checkpoint(self.steps, {"parameters": self.acting(), **arrays}, self.counters())

    def restore(self, checkpoint: Checkpoint) -> None:
        """See ReplayState."""
        arrays = checkpoint.arrays.items()
        self.updater.load({key.removeprefix("updater."): array for key, array in arrays if key.startswith("updater.")})
        self.restore_counters(checkpoint)


def learner(process: Process) -> ExitCode:
    """Learn until done or told to stop."""
    wiring, config = process.wiring, R2D2Config.recorded(process.config)
    with closing(make_env(wiring.env, wiring.code, config.network.view)) as env:
        layout = make_layout(config, env.spaces)
        policy = describe("r2d2", env, wiring.env, network_data(config))
    log.info("%s", summary(layout))
    return train(process, ReplayLearner(process, config, State(layout, config, wiring.seed), policy))
