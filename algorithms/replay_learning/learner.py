"""Learner: batches of replay in, weights and priorities out."""

from collections.abc import Mapping
from logging import getLogger
from time import perf_counter
from typing import Any

import numpy as np

from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.recording.recorder import RunRecorder
from surreal.algorithms.replay.batches import ReplayBatch
from surreal.algorithms.replay.client import ReplayClient
from surreal.algorithms.replay.config import ReplaySettings
from surreal.algorithms.replay_learning.state import ReplayedConfig, ReplayState
from surreal.algorithms.training_loop import Trainer, Waiting
from surreal.protocol.profiling.spans import COMMUNICATION, operation
from surreal.protocol.wire.packet import Version
from surreal.protocol.worker.process import Process

log = getLogger(__name__)
LOOK_EVERY = 1.0
"""Seconds between two looks at other channels while there is no batch."""
HELD_SECONDS = 0.25
"""Longest wait for a further batch of a turn: where the shards hold batches back, fewer updates make a version."""
MOST_EPISODES = 100
"""Messages of ended episodes that are read in one turn."""


class StepCount:
    """Environment steps of the run, which the shards count: over restarts of the learner, and of shards that forgot."""

    def __init__(self, steps: int) -> None:
        """Go on from `steps`, which the learner's checkpoint knows."""
        self._known, self._told = steps, False

    def __call__(self, inserted: int, first: int, all_heard: bool = True) -> int:
        """Return the steps of the run: shards have inserted so many, `first` of them before this learner heard of each.

        Shards that were not killed have gone on without the learner, and those without snapshots have forgotten, which
        is said once all were heard of.
        """
        if all_heard and 2 * first < self._known and not self._told:
            self._told = True
            text = "replay began anew, with %d of the %d steps so far: what came before is not learned from again"
            log.warning(text, first, self._known)
        return max(self._known, first) + inserted - first


class ReplayLearner(Trainer[ReplayBatch]):
    """Moves data between the channels and the state; the learning itself is the state's."""

    state: ReplayState

    def __init__(self, process: Process, config: ReplayedConfig, state: ReplayState, policy: Mapping[str, Any]) -> None:
        """Learn `state`, whose policy has the description `policy`."""
        self._config, self.state, self.policy = config, state, policy
        self._weights, self._episodes = process.publisher("weights"), process.receiver("episodes")
        settings = ReplaySettings.of(process.config, process.wiring.replicas["replay"])
        self._replay, self._prioritized = ReplayClient(process, settings), settings.prioritized
        self.total_steps = config.total_steps
        self._count: StepCount | None = None
        self._since, self._reported_updates = perf_counter(), 0
        self._metrics: dict[str, float] = {}

    @property
    def updates(self) -> int:
        """See Trainer: gradient steps, of which a version of the weights has up to `weights_every`."""
        return self.state.gradient_steps

    def collect(self, waiting: Waiting) -> ReplayBatch:
        """Wait for the first batch of a turn."""
        began = perf_counter()
        while (batch := self._sample(LOOK_EVERY)) is None:
            self._take_episodes()
            waiting("replay", perf_counter() - began)
        return batch

    def learn(self, data: ReplayBatch) -> Mapping[str, float]:
        """Make the updates of one version of the weights: on this batch, and on those that come without a long wait."""
        rows: list[dict[str, float]] = []
        batch: ReplayBatch | None = data
        while batch is not None:
            with operation("update"):
                errors, metrics = self.state.learn(batch.arrays, batch.weights)
            rows.append(metrics)
            if self._prioritized:
                self._replay.update_priorities(batch.ids, errors)
            # Where the shards hold batches back, fewer updates make a version, so that a turn never takes long.
            batch = self._sample(HELD_SECONDS) if len(rows) < self._config.weights_every else None
        self._take_episodes()
        self.state.updates += 1
        self._count = self._count or StepCount(self.state.steps)
        self.state.steps = self._count(self._replay.steps, self._replay.first_steps, self._replay.heard_of_all)
        self._reported_updates += len(rows)
        # A turn of one update may have none of the actor, whose last metrics then stand.
        for name in {name for row in rows for name in row}:
            self._metrics[name] = float(np.mean([row[name] for row in rows if name in row]))
        return dict(self._metrics)

    def _sample(self, timeout: float) -> ReplayBatch | None:
        """Return the next batch; None after `timeout`.

        The importance exponent rises to 1 (Schaul et al. 2016), and 0 leaves the weights out.
        """
        least, progress = self._config.replay.importance_exponent, min(1.0, self.state.steps / self.total_steps)
        with operation("sample", COMMUNICATION):
            return self._replay.sample(least and least + (1 - least) * progress, timeout=timeout)

    def _take_episodes(self) -> None:
        for _ in range(MOST_EPISODES):
            message = self._episodes.recv(timeout=0)
            if message is None:
                return
            self.state.take_episodes(message.arrays["returns"])

    def publish(self, version: Version) -> None:
        """Send the acting network and the observation statistics that belong to it."""
        state = self.state
        weights = Weights(version, state.acting(), state.standardizer(), state.steps, state.done())
        weights.publish(self._weights)

    def row(self, recorder: RunRecorder) -> Mapping[str, Any]:
        """Return the training return, the rate of updates, and what replay says of itself."""
        state, returns, now = self.state, list(self.state.returns), perf_counter()
        elapsed = max(now - self._since, 1e-9)
        row = {
            "episodes": state.episodes,
            "episode_return": state.mean_return(),
            "episode_return_min": min(returns, default=None),
            "episode_return_max": max(returns, default=None),
            "gradient_steps": state.gradient_steps,
            "gradient_steps_per_second": self._reported_updates / elapsed,
            "skipped_steps": state.skipped,
            **self._replay.metrics(),
        }
        self._since, self._reported_updates = now, 0
        return row
