"""The master: results in, weights out, and everything a resume needs on disk."""

from logging import getLogger
from time import perf_counter

import numpy as np

from surreal.algorithms.environments import make_env
from surreal.algorithms.es.batched_policy import Layout, flat_spaces
from surreal.algorithms.es.collector import Collector
from surreal.algorithms.es.config import read_config
from surreal.algorithms.es.state import State
from surreal.algorithms.es.weights import Weights
from surreal.algorithms.metrics import Shares
from surreal.algorithms.recorder import Bookkeeping
from surreal.protocol.errors import ExitCode, Stopping
from surreal.protocol.worker.process import Process

log = getLogger(__name__)
REPORT_EVERY = 1.0
"""Seconds between two rows of metrics; their numbers cover all generations in between."""


class Master:
    """Moves data between the channels, the state and the disk; the learning itself is in State."""

    def __init__(self, process: Process) -> None:
        wiring = process.wiring
        config = read_config(wiring.config)
        self._process, self._channel = process, process.publisher("weights")
        self._collector = Collector(process.receiver("results"))
        self._books = Bookkeeping(process)
        env = make_env(wiring.env["id"], wiring.env["options"])
        self._state = state = State(
            Layout.of(config, flat_spaces(env)), config, wiring.seed, wiring.replicas.get("worker", 1)
        )
        checkpoint = self._books.newest()
        if checkpoint is not None:
            state.restore(checkpoint)
            log.info("resumed from step %d (generation %d)", state.steps, state.updates)
        else:
            state.see_reference(env)
        env.close()
        self._shares = Shares("waiting", "learning", "other")
        self._row: list[dict[str, float]] = []
        self._began = perf_counter() - state.elapsed
        self._reported_at, self._reported_steps = perf_counter(), state.steps

    def run(self) -> ExitCode:
        """Learn until done; on the way out save. PREEMPTED where somebody stopped us before the end."""
        state, books = self._state, self._books
        try:
            weights = self._publish()
            while not state.done():
                weights = self._turn(weights)
            self._report()
            books.await_last_evaluation(weights.version, state.steps)
        except Stopping:
            log.info("asked to stop at step %d: %s", state.steps, self._process.stop_reason)
            self._report()
            books.save(state.checkpoint(), state.updates)
            return ExitCode.PREEMPTED
        books.save(state.checkpoint(), state.updates)
        books.close()
        return ExitCode.DONE

    def _turn(self, weights: Weights) -> Weights:
        """One generation: its results, one update, the next version of the weights."""
        state, start = self._state, perf_counter()
        results = self._collector.collect(weights)
        collected = perf_counter()
        self._row.append(state.learn(results))
        weights = self._publish()
        learned = perf_counter()
        state.elapsed = learned - self._began
        self._books.save_if_due(state.checkpoint, state.updates)
        self._books.read_reports(weights.version, state.steps)
        self._shares.add("waiting", collected - start)
        self._shares.add("learning", learned - collected)
        self._shares.add("other", perf_counter() - learned)
        if perf_counter() - self._reported_at > REPORT_EVERY:
            self._report()
        return weights

    def _publish(self) -> Weights:
        state, incarnation = self._state, self._process.wiring.incarnation
        version = (incarnation, state.updates)
        weights = Weights(version, state.parameters, state.standardizer(), state.orders(), state.steps, state.done())
        weights.publish(self._channel)
        return weights

    def _report(self) -> None:
        """One row: where the run is, and the means over the generations since the last row."""
        if not self._row:
            return
        state, now, counters = self._state, perf_counter(), self._collector.counters
        rate = (state.steps - self._reported_steps) / max(now - self._reported_at, 1e-9)
        self._reported_at, self._reported_steps = now, state.steps
        row = {
            "total_steps": state.config.total_steps,
            "updates": state.updates,
            "elapsed": state.elapsed,
            "steps_per_second": rate,
            "episodes": state.episodes,
            **{name: float(np.mean([row[name] for row in self._row])) for name in self._row[0]},
            "sigma": state.config.sigma,
            "episode_cap": state.cap,
            "dropped_late": counters.late,
            "dropped_repeated": counters.repeated,
            "dropped_by_restart": counters.by_restart,
            "dropped_not_finite": counters.broken,
            "skipped_updates": state.skipped,
            "share_workers_waiting": self._books.mean_of("share_waiting"),
            "share_workers_abandoned": self._books.mean_of("share_abandoned"),
            **self._shares.read(),
        }
        self._books.metrics.write(self._process.wiring.name, state.steps, row)
        self._row = []


def master(process: Process) -> ExitCode:
    """Learn until done or told to stop."""
    return Master(process).run()
