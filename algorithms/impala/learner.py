"""Learner: any fragments that have come in, weights out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from surreal.algorithms.impala.config import IMPALAConfig
from surreal.algorithms.impala.queue import FragmentQueue, Replay
from surreal.algorithms.impala.update import Updater
from surreal.algorithms.recording.recorder import RunRecorder
from surreal.algorithms.rollouts.learner import RolloutLearner
from surreal.algorithms.training_loop import Waiting, train
from surreal.protocol.errors import ExitCode
from surreal.protocol.wire.packet import Message
from surreal.protocol.worker.process import Process


class Learner(RolloutLearner[list[Message]]):
    """Takes fragments as they come, and replays old ones where the config asks for it."""

    def __init__(self, process: Process) -> None:
        wiring, config = process.wiring, IMPALAConfig.recorded(process.config)
        experience = process.receiver("experience")
        super().__init__(process, "impala", config, lambda layout: Updater(layout, config, wiring.seed))
        actors, lag = wiring.replicas["actor"], config.artificial_lag
        self._queue = FragmentQueue(experience, actors, wiring.incarnation, self.problem, config.batch_fragments, lag)
        self._replay = Replay(config.replay_ratio, config.replay_fragments, np.random.default_rng([wiring.seed, 2]))

    def collect(self, waiting: Waiting) -> list[Message]:
        """Wait for the fragments of an update."""
        return self.note(self._queue.collect(self.state.updates, waiting))

    def learn(self, data: list[Message]) -> Mapping[str, float]:
        """Make one update on the fragments, and on old ones with them."""
        metrics = self.state.learn(data, self._replay.draw(len(data)))
        self._replay.keep(data)
        return metrics

    def row(self, recorder: RunRecorder) -> Mapping[str, Any]:
        """Return the training return, staleness, and counts of what was dropped or skipped."""
        return {
            **super().row(recorder),
            "dropped_by_restart": self._queue.dropped_epoch,
            "dropped_malformed": self._queue.dropped_malformed,
            "skipped_updates": self.state.updater.skipped,
        }


def learner(process: Process) -> ExitCode:
    """Learn until done or told to stop."""
    return train(process, Learner(process))
