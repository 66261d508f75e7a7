"""The learner: fragments in, weights out, and everything a resume needs on disk."""

from logging import getLogger
from time import perf_counter

import numpy as np

from surreal.algorithms.environments import make_env, spaces_of
from surreal.algorithms.metrics import Shares
from surreal.algorithms.networks import Shape
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.ppo.collector import Collector
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.state import State
from surreal.algorithms.ppo.weights import Weights
from surreal.algorithms.recorder import Bookkeeping
from surreal.protocol.errors import ExitCode, Stopping
from surreal.protocol.wire.packet import Version
from surreal.protocol.worker.process import Process

log = getLogger(__name__)
REPORT_EVERY = 1.0
"""Seconds between two rows of metrics; their numbers cover all updates in between."""


class Learner:
    """Moves data between the channels, the state and the disk; the learning itself is in State."""

    def __init__(self, process: Process) -> None:
        wiring = process.wiring
        config = PPOConfig(**wiring.config)
        self._process = process
        self._weights = process.publisher("weights")
        self._books = Bookkeeping(process)
        self._collector = Collector(
            process.receiver("experience"),
            wiring.replicas["actor"],
            wiring.incarnation,
            config.max_staleness,
            lambda: process.alive("actor"),
        )
        env = make_env(wiring.env["id"], wiring.env["options"])
        self._state = State(Shape(spaces_of(env), tuple(config.hidden)), config, wiring.seed)
        env.close()
        self._shares = Shares("waiting", "learning", "other")
        self._row: list[dict[str, float]] = []
        self._staleness: list[int] = []

    def run(self) -> ExitCode:
        """Learn until done; on the way out save. PREEMPTED where somebody stopped us before the end."""
        self._restore()
        state = self._state
        self._began, self._reported_at, self._reported_steps = (
            perf_counter() - state.elapsed,
            perf_counter(),
            state.steps,
        )
        try:
            self._publish()
            while not state.done():
                self._turn()
            self._report()
            self._books.await_last_evaluation(self._version, state.steps)
        except Stopping:
            log.info("asked to stop at step %d: %s", state.steps, self._process.stop_reason)
            self._report()
            self._books.save(state.checkpoint(), state.updates)
            return ExitCode.PREEMPTED
        self._books.save(state.checkpoint(), state.updates)
        self._books.close()
        return ExitCode.DONE

    def _turn(self) -> None:
        """One batch, one update, one version of the weights."""
        state, start = self._state, perf_counter()
        messages = self._collector.collect(state.updates)
        gathered = perf_counter()
        self._staleness += [state.updates - message.version[1] for message in messages]
        self._row.append(state.learn(messages))
        learned = perf_counter()
        self._publish()
        state.elapsed = perf_counter() - self._began
        self._books.save_if_due(state.checkpoint, state.updates)
        self._books.read_reports(self._version, state.steps)
        self._shares.add("waiting", gathered - start)
        self._shares.add("learning", learned - gathered)
        self._shares.add("other", perf_counter() - learned)
        if perf_counter() - self._reported_at > REPORT_EVERY:
            self._report()

    @property
    def _version(self) -> Version:
        """Of the weights published last."""
        return (self._process.wiring.incarnation, self._state.updates)

    def _publish(self) -> None:
        state = self._state
        standardize = Standardizer.of(state.moments)
        parameters = state.updater.gradient.parameters()
        Weights(self._version, parameters, standardize, state.steps, state.done()).publish(self._weights)

    def _report(self) -> None:
        """One row: where the run is, and the means over the updates since the last row."""
        if not self._row:
            return
        state, now = self._state, perf_counter()
        rate = (state.steps - self._reported_steps) / max(now - self._reported_at, 1e-9)
        self._reported_at, self._reported_steps = now, state.steps
        means = {name: float(np.mean([row[name] for row in self._row])) for name in self._row[0]}
        returns = list(state.returns)
        row = {
            "total_steps": state.config.total_steps,
            "updates": state.updates,
            "elapsed": state.elapsed,
            "steps_per_second": rate,
            "episodes": state.episodes,
            "episode_return": state.mean_return(),
            "episode_return_min": min(returns, default=None),
            "episode_return_max": max(returns, default=None),
            "staleness": float(np.mean(self._staleness)),
            "staleness_max": max(self._staleness),
            "dropped_stale": self._collector.dropped_stale,
            "dropped_by_restart": self._collector.dropped_epoch,
            "skipped_minibatches": state.updater.skipped,
            **means,
            **self._shares.read(),
        }
        self._books.metrics.write(self._process.wiring.name, state.steps, row)
        self._row, self._staleness = [], []

    def _restore(self) -> None:
        checkpoint = self._books.newest()
        if checkpoint is None:
            return
        self._state.restore(checkpoint)
        log.info("resumed from step %d (update %d)", self._state.steps, self._state.updates)


def learner(process: Process) -> ExitCode:
    """Learn until done or told to stop."""
    return Learner(process).run()
