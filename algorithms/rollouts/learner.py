"""Learner of rollouts: fragments in, weights out. An algorithm says which fragments, and how it learns from them."""

from collections.abc import Callable, Mapping
from contextlib import closing
from logging import getLogger
from typing import Any, Generic, TypeVar

import numpy as np

from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.models.actor_critic import make_model, network_data
from surreal.algorithms.models.summary import summary
from surreal.algorithms.networks import Layout
from surreal.algorithms.recording.policy_record import describe
from surreal.algorithms.recording.recorder import RunRecorder
from surreal.algorithms.rollouts.config import RolloutConfig
from surreal.algorithms.rollouts.fragment import FragmentCheck
from surreal.algorithms.rollouts.state import State, Updater
from surreal.algorithms.training_loop import Trainer
from surreal.protocol.wire.packet import Message, Version
from surreal.protocol.worker.process import Process

log = getLogger(__name__)
Data = TypeVar("Data")


class RolloutLearner(Trainer[Data], Generic[Data]):
    """Moves data between the channels and the state; the learning itself is in State."""

    state: State

    def __init__(
        self, process: Process, name: str, config: RolloutConfig, updater: Callable[[Layout], Updater]
    ) -> None:
        """Learn as the algorithm `name`; `updater` makes what an update changes from the layout of the networks."""
        wiring = process.wiring
        self._weights = process.publisher("weights")
        with closing(make_env(wiring.env, wiring.code, config.network.view)) as env:
            spaces, tensors = env.spaces, {"parameters": "updater.parameters"}
            layout = make_model(config.network, spaces, config.hidden)
            network = network_data(config.network, config.hidden, layout)
            self.policy = describe(name, env, wiring.env, network, tensors)
        log.info("%s", summary(layout))
        self.state = State(spaces, config, updater(layout))
        memory = (config.fragment_steps // config.sequence, layout.state_size)
        self._check = FragmentCheck(spaces, config.fragment_steps, int(wiring.env["copies"]), memory)
        self.total_steps = config.total_steps
        self._staleness: list[int] = []

    def problem(self, message: Message) -> str:
        """Return in words what is wrong with a fragment; empty where nothing is."""
        return self._check.problem(message.arrays)

    def note(self, messages: list[Message]) -> list[Message]:
        """Return the fragments of an update; how many updates their weights are old is reported."""
        self._staleness += [self.state.updates - message.version[1] for message in messages]
        return messages

    def publish(self, version: Version) -> None:
        """Send the parameters and the observation statistics that belong to them."""
        state = self.state
        weights = Weights(version, state.updater.parameters(), state.standardizer(), state.steps, state.done())
        weights.publish(self._weights)

    def row(self, recorder: RunRecorder) -> Mapping[str, Any]:
        """Return the training return, and the staleness of what was learned from."""
        state, returns, staleness = self.state, list(self.state.returns), self._staleness
        self._staleness = []
        return {
            "episodes": state.episodes,
            "episode_return": state.mean_return(),
            "episode_return_min": min(returns, default=None),
            "episode_return_max": max(returns, default=None),
            "staleness": float(np.mean(staleness)),
            "staleness_max": max(staleness),
        }
