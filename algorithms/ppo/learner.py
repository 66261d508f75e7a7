"""Learner: fragments in, weights out."""

from collections.abc import Mapping
from contextlib import closing
from logging import getLogger
from typing import Any

import numpy as np

from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.models.actor_critic import make_model, network_data
from surreal.algorithms.models.summary import summary
from surreal.algorithms.ppo.collector import Collector
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.update import Updater
from surreal.algorithms.recording.policy_record import describe
from surreal.algorithms.recording.recorder import RunRecorder
from surreal.algorithms.rollouts.fragment import FragmentCheck
from surreal.algorithms.rollouts.state import State
from surreal.algorithms.training_loop import Trainer, Waiting, train
from surreal.protocol.errors import ExitCode
from surreal.protocol.wire.packet import Message, Version
from surreal.protocol.worker.process import Process

log = getLogger(__name__)


class Learner(Trainer[list[Message]]):
    """Moves data between the channels and the state; the learning itself is in State."""

    state: State

    def __init__(self, process: Process) -> None:
        wiring = process.wiring
        config = PPOConfig(**wiring.config)
        self._weights = process.publisher("weights")
        experience = process.receiver("experience")
        with closing(make_env(wiring.env, wiring.code, config.network.view)) as env:
            spaces, tensors = env.spaces, {"parameters": "updater.parameters"}
            layout = make_model(config.network, spaces, config.hidden)
            network = network_data(config.network, config.hidden, layout)
            self.policy = describe("ppo", env, wiring.env, network, tensors)
        log.info("%s", summary(layout))
        self.updater = Updater(layout, config, wiring.seed)
        self.state = State(spaces, config, self.updater)
        memory = (config.fragment_steps // config.sequence, layout.state_size)
        check = FragmentCheck(spaces, config.fragment_steps, int(wiring.env["copies"]), memory)
        self._collector = Collector(
            experience,
            wiring.replicas["actor"],
            wiring.incarnation,
            config.max_staleness,
            lambda: process.session.alive("actor"),
            lambda message: check.problem(message.arrays),
            config.gather_patience,
        )
        self.total_steps = config.total_steps
        self._staleness: list[int] = []

    def collect(self, waiting: Waiting) -> list[Message]:
        """Wait for one fragment of every actor that keeps up."""
        messages = self._collector.collect(self.state.updates, waiting)
        self._staleness += [self.state.updates - message.version[1] for message in messages]
        return messages

    def learn(self, data: list[Message]) -> Mapping[str, float]:
        """Make one update on the fragments."""
        return self.state.learn(data)

    def publish(self, version: Version) -> None:
        """Send the parameters and the observation statistics that belong to them."""
        state = self.state
        Weights(version, state.updater.parameters(), state.standardizer(), state.steps, state.done()).publish(
            self._weights
        )

    def row(self, recorder: RunRecorder) -> Mapping[str, Any]:
        """Return the training return, and counts of what was late, dropped or skipped."""
        state, returns = self.state, list(self.state.returns)
        row = {
            "episodes": state.episodes,
            "episode_return": state.mean_return(),
            "episode_return_min": min(returns, default=None),
            "episode_return_max": max(returns, default=None),
            "staleness": float(np.mean(self._staleness)),
            "staleness_max": max(self._staleness),
            "dropped_stale": self._collector.dropped_stale,
            "dropped_by_restart": self._collector.dropped_epoch,
            "dropped_malformed": self._collector.dropped_malformed,
            "batches_without_an_actor": self._collector.batches_without,
            "skipped_minibatches": self.updater.skipped,
        }
        self._staleness = []
        return row


def learner(process: Process) -> ExitCode:
    """Learn until done or told to stop."""
    return train(process, Learner(process))
