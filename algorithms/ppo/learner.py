"""Learner: one fragment of every actor in, weights out; alone, or as one of several that make each update together."""

from collections.abc import Mapping
from typing import Any

from surreal.algorithms.group.exchange import Group
from surreal.algorithms.group.follow import follow
from surreal.algorithms.ppo.collector import Collector
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.update import ALONE, Updater
from surreal.algorithms.recording.recorder import RunRecorder
from surreal.algorithms.rollouts.joint import Collected, Joint
from surreal.algorithms.rollouts.learner import RolloutLearner
from surreal.algorithms.training_loop import Waiting, train
from surreal.protocol.errors import ExitCode
from surreal.protocol.worker.process import Process

DROPPED = ("dropped_stale", "dropped_by_restart", "dropped_malformed", "batches_without_an_actor")
"""Names in a row of metrics of what a collector counts."""


class Learner(RolloutLearner[Collected]):
    """Takes one fragment of every actor that keeps up, of its own actors where there are several learners."""

    def __init__(self, process: Process, group: Group | None = None) -> None:
        """Learn alone, or as one of a group."""
        self._process, self._config = process, PPOConfig.recorded(process.config)
        wiring, config = process.wiring, self._config
        experience = process.receiver("experience")
        super().__init__(process, "ppo", config, lambda layout: Updater(layout, config, wiring.seed, group or ALONE))
        self._experience, self._joint = experience, Joint(process, self.state, group)
        self._dropped: tuple[int, ...] = ()
        self.begin_epoch(wiring.incarnation)

    def begin_epoch(self, epoch: int) -> None:
        """Take fragments of this epoch of weights from now on."""
        wiring, config = self._process.wiring, self._config
        self._collector = Collector(
            self._experience,
            wiring.replicas["actor"],
            epoch,
            config.max_staleness,
            self._joint.alive,
            self.problem,
            config.gather_patience,
            (wiring.index, wiring.replicas[wiring.role]),
            wiring.least.get("actor"),
        )

    def collect(self, waiting: Waiting) -> Collected:
        """Wait for one fragment of every actor that keeps up, and for the other learners."""
        self._joint.assemble(waiting)
        messages = self._collector.collect(self.state.updates, waiting)
        data = self._joint.exchange(messages, self._collector.dropped, waiting)
        self._staleness += data.staleness
        self._dropped = data.dropped
        return data

    def learn(self, data: Collected) -> Mapping[str, float]:
        """Make one update on the fragments."""
        return self._joint.learn(data)

    def row(self, recorder: RunRecorder) -> Mapping[str, Any]:
        """Return the training return, staleness, and counts of what was late, dropped or skipped."""
        dropped = dict(zip(DROPPED, self._dropped, strict=True))
        return {**super().row(recorder), **dropped, "skipped_minibatches": self.state.updater.skipped}


def learner(process: Process) -> ExitCode:
    """Learn until done or told to stop, alone or with the other learners of the run."""
    if process.wiring.replicas[process.wiring.role] == 1:
        return train(process, Learner(process))
    group = Group(process)
    trainer = Learner(process, group)
    return train(process, trainer) if group.rank == 0 else follow(group, trainer)
