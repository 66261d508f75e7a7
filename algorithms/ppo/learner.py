"""The learner: fragments in, weights out, and everything a resume needs on disk."""

from collections import deque
from logging import getLogger
from time import perf_counter
from typing import Any

import numpy as np

from surreal.algorithms.bookkeeping import Bookkeeping
from surreal.algorithms.checkpoint import Checkpoint
from surreal.algorithms.environments import make_env, spaces_of
from surreal.algorithms.networks import Shape
from surreal.algorithms.normalizers import RewardScaler, RunningMoments, Standardizer
from surreal.algorithms.ppo.batch import trajectories
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gather import Gatherer
from surreal.algorithms.ppo.update import Updater
from surreal.algorithms.ppo.weights import publish
from surreal.algorithms.shares import Shares
from surreal.protocol.errors import ExitCode, Stopping
from surreal.protocol.wire.packet import Message, Version
from surreal.protocol.worker.process import Process

Array = np.ndarray[Any, Any]
log = getLogger(__name__)
REPORT_EVERY = 1.0
"""Seconds between two rows of metrics; their numbers cover all updates in between."""


class State:
    """What learning changes: the networks, the statistics, the counters. All of it is in a checkpoint."""

    def __init__(self, shape: Shape, config: PPOConfig, seed: int) -> None:
        self.config = config
        self.updater = Updater(shape, config, seed)
        self.moments = RunningMoments(shape.spaces.observation)
        self.scaler = RewardScaler(config.gamma) if config.normalize_rewards else None
        self.steps = self.updates = self.episodes = 0
        self.elapsed = 0.0
        self.returns: deque[float] = deque(maxlen=config.return_window)
        self._incarnations: dict[str, int] = {}

    def learn(self, messages: list[Message]) -> dict[str, float]:
        """One update on the fragments of `messages`. Returns its metrics."""
        standardize = Standardizer.of(self.moments)
        fragments = [message.arrays for message in messages]
        for message in messages:
            self._take_in(message)
        progress = min(1.0, self.steps / self.config.total_steps)
        data = trajectories(fragments, standardize, self.scaler)
        metrics = self.updater.update(data, progress)
        if self.config.normalize_observations:
            for fragment in fragments:
                self.moments.update(fragment["observations"][:-1].reshape(-1, len(self.moments.mean)))
        self.steps += data.transitions
        self.updates += 1
        return metrics

    def _take_in(self, message: Message) -> None:
        """Episode returns, and the statistics that rewards are scaled by."""
        episodes = message.meta["episodes"]
        self.returns.extend(total for total, _ in episodes)
        self.episodes += len(episodes)
        if self.scaler is None:
            return
        if self._incarnations.get(message.sender) != message.incarnation:
            self._incarnations[message.sender] = message.incarnation
            self.scaler.forget(message.sender)
        arrays = message.arrays
        self.scaler.update(message.sender, arrays["rewards"], arrays["terminated"] | arrays["truncated"])

    def mean_return(self) -> float | None:
        """Mean training return of the last episodes; None before one ended."""
        return float(np.mean(self.returns)) if self.returns else None

    def done(self) -> bool:
        """All steps taken, or the return reached that the experiment stops at."""
        goal, mean = self.config.stop_at_return, self.mean_return()
        reached = goal is not None and len(self.returns) == self.returns.maxlen and mean is not None and mean >= goal
        return self.steps >= self.config.total_steps or reached

    def checkpoint(self) -> Checkpoint:
        """Everything as it is now."""
        arrays = {f"updater.{name}": array for name, array in self.updater.arrays().items()}
        arrays |= {f"observations.{name}": array for name, array in self.moments.arrays().items()}
        if self.scaler is not None:
            arrays |= {f"rewards.{name}": array for name, array in self.scaler.moments.arrays().items()}
        counters = {"updates": self.updates, "episodes": self.episodes, "elapsed": self.elapsed}
        state = {**counters, "returns": list(self.returns), "updater": self.updater.state()}
        return Checkpoint(self.steps, arrays, state)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to what `checkpoint` holds."""

        def group(prefix: str) -> dict[str, Array]:
            arrays = checkpoint.arrays.items()
            return {name.removeprefix(prefix): array for name, array in arrays if name.startswith(prefix)}

        state = checkpoint.state
        self.updater.load(group("updater."), state["updater"])
        self.moments.load(group("observations."))
        if self.scaler is not None:
            self.scaler.moments.load(group("rewards."))
        self.steps, self.updates, self.episodes = checkpoint.steps, state["updates"], state["episodes"]
        self.elapsed = state["elapsed"]
        self.returns.extend(state["returns"])


class Learner:
    """Moves data between the channels, the state and the disk; the learning itself is in State."""

    def __init__(self, process: Process) -> None:
        wiring = process.wiring
        config = PPOConfig(**wiring.config)
        self._process = process
        self._weights = process.publisher("weights")
        self._books = Bookkeeping(process)
        self._gatherer = Gatherer(
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
        self._process.stop_all()
        return ExitCode.DONE

    def _turn(self) -> None:
        """One batch, one update, one version of the weights."""
        state, start = self._state, perf_counter()
        messages = self._gatherer.batch(state.updates)
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
        publish(
            self._weights, state.updates, state.updater.gradient.parameters(), standardize, state.steps, state.done()
        )

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
            "dropped_stale": self._gatherer.dropped_stale,
            "dropped_by_restart": self._gatherer.dropped_epoch,
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
