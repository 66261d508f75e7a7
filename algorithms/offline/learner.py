"""Learner and evaluator: batches of dataset shards in, weights out; whole episodes with the newest weights."""

from collections.abc import Mapping
from contextlib import closing
from time import perf_counter
from typing import Any

import numpy as np

from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.offline.method import Method, method_of
from surreal.algorithms.offline.state import State
from surreal.algorithms.offpolicy.actor import evaluate_policy
from surreal.algorithms.offpolicy.policy import ActingPolicy
from surreal.algorithms.recording.policy_record import describe
from surreal.algorithms.recording.recorder import RunRecorder
from surreal.algorithms.replay.batches import ReplayBatch
from surreal.algorithms.replay.client import ReplayClient
from surreal.algorithms.training_loop import Trainer, Waiting, train
from surreal.protocol.errors import ExitCode
from surreal.protocol.wire.packet import Version
from surreal.protocol.worker.process import Process

LOOK_EVERY = 1.0
"""Seconds between two looks at other channels while there is no batch."""


class OfflineLearner(Trainer[ReplayBatch]):
    """Moves data between the channels and the state; the learning itself is the state's."""

    state: State

    def __init__(self, process: Process, method: Method, policy: Mapping[str, Any]) -> None:
        """Learn by `method`, whose policy has the description `policy`."""
        self.state, self.policy, self._every = State(method, process.seed), policy, method.config.weights_every
        self.total_steps = method.config.total_steps
        self._weights = process.publisher("weights")
        self._batches = ReplayClient(process, method.config.replay(process.wiring.replicas["dataset"]))
        self._since, self._reported = perf_counter(), 0

    @property
    def updates(self) -> int:
        """See Trainer: gradient steps, of which a version of the weights has up to `weights_every`."""
        return self.state.steps

    def begin(self) -> None:
        """See Trainer."""
        self._reported = self.state.steps

    def collect(self, waiting: Waiting) -> ReplayBatch:
        """Wait for the first batch of a turn; before the first turn for those that the statistics are of."""
        while self.state.wants_moments:
            self.state.see(self._next(waiting).arrays["observations"])
        return self._next(waiting)

    def _next(self, waiting: Waiting) -> ReplayBatch:
        began = perf_counter()
        while (batch := self._batches.sample(0.0, timeout=LOOK_EVERY)) is None:
            waiting("dataset", perf_counter() - began)
        return batch

    def learn(self, data: ReplayBatch) -> Mapping[str, float]:
        """Make the updates of one version of the weights: on this batch, and on those that come at once."""
        rows: list[dict[str, float]] = []
        batch: ReplayBatch | None = data
        while batch is not None:
            rows.append(self.state.learn(batch.arrays, batch.weights))
            more = len(rows) < self._every and not self.state.done()
            batch = self._batches.sample(0.0, timeout=LOOK_EVERY) if more else None
        self.state.updates += 1
        names = {name for row in rows for name in row}
        return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}

    def publish(self, version: Version) -> None:
        """Send the acting network and the observation statistics that belong to it."""
        state = self.state
        Weights(version, state.engine.policy(), state.standardizer, state.steps, state.done()).publish(self._weights)

    def row(self, recorder: RunRecorder) -> Mapping[str, Any]:
        """Return the rate of updates, and what the shards say of themselves."""
        now, steps = perf_counter(), self.state.steps
        rate = (steps - self._reported) / max(now - self._since, 1e-9)
        self._since, self._reported = now, steps
        found = self._batches.metrics()
        return {
            "gradient_steps": steps,
            "gradient_steps_per_second": rate,
            "skipped_steps": self.state.engine.skipped,
            "epochs": steps * self.state.method.config.batch / max(1.0, found["replay_items"]),
            "waiting_for_samples": found["waiting_for_samples"],
            "taking_samples": found["taking_samples"],
            "shards_away": found["shards_away"],
        }


def learner(process: Process) -> ExitCode:
    """Learn until done or told to stop."""
    wiring = process.wiring
    with closing(make_env(wiring.env, wiring.code)) as env:
        method = method_of(process, env.spaces)
        policy = describe(method.name, env, wiring.env, method.shape().data())
    return train(process, OfflineLearner(process, method, policy))


def evaluator(process: Process) -> None:
    """Evaluate every `evaluate_every_seconds`, and at once when the learner says that these are the last weights."""
    wiring = process.wiring
    with closing(make_env(wiring.env, wiring.code, evaluating=True)) as env:
        method = method_of(process, env.spaces)
        config = method.config
        every, cap = config.evaluate_every_seconds, config.evaluation_episode_cap
        evaluate_policy(process, env, ActingPolicy(method.shape()), every, config.evaluate_episodes, cap)
