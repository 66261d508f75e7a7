"""Master: results in, weights out."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.es.batched_policy import Layout
from surreal.algorithms.es.collector import Collector, Results
from surreal.algorithms.es.config import ESConfig, read_config
from surreal.algorithms.es.state import State
from surreal.algorithms.es.weights import Weights
from surreal.algorithms.recording.policy_record import describe
from surreal.algorithms.recording.recorder import RunRecorder
from surreal.algorithms.training_loop import Trainer, Waiting, train
from surreal.protocol.errors import ExitCode
from surreal.protocol.wire.packet import Version
from surreal.protocol.worker.process import Process


class Master(Trainer[Results]):
    """Moves data between the channels and the state; the learning itself is in State."""

    state: State

    def __init__(self, process: Process) -> None:
        self._wiring = wiring = process.wiring
        config = read_config(wiring.config)
        self._channel, self._collector = process.publisher("weights"), Collector(process.receiver("results"))
        with closing(self._make_env()) as env:
            layout = Layout.of(config, env.spaces)
            network = {"kind": "stack", "hidden": list(layout.hidden), "biased": layout.biased}
            self.policy = describe("es" if isinstance(config, ESConfig) else "ars", env, wiring.env, network)
        self.state = State(layout, config, wiring.seed, wiring.replicas.get("worker", 1))
        self.total_steps, self.exact = config.total_steps, config.deterministic
        self._weights: Weights | None = None

    def begin(self) -> None:
        """Begin the observation statistics with those of random actions."""
        with closing(self._make_env()) as env:
            self.state.see_reference(env)

    def _make_env(self) -> Environment:
        return make_env(self._wiring.env, self._wiring.code)

    def collect(self, waiting: Waiting) -> Results:
        """Wait for the results of the present generation."""
        assert self._weights is not None
        return self._collector.collect(self._weights, waiting)

    def learn(self, data: Results) -> Mapping[str, float]:
        """Make one update on the results of a generation."""
        return self.state.learn(data)

    def publish(self, version: Version) -> None:
        """Send the policy, its statistics and the request of the next generation."""
        state = self.state
        arrays = state.parameters, state.standardizer()
        self._weights = Weights(version, *arrays, state.orders(), state.steps, state.done())
        self._weights.publish(self._channel)

    def row(self, recorder: RunRecorder) -> Mapping[str, Any]:
        """Return counts of what was late, dropped or skipped, and how the workers spend their time."""
        state, counters = self.state, self._collector.counters
        return {
            "episodes": state.episodes,
            "sigma": state.config.sigma,
            "episode_cap": state.cap,
            "dropped_late": counters.late,
            "dropped_repeated": counters.repeated,
            "dropped_by_restart": counters.by_restart,
            "dropped_not_finite": counters.broken,
            "skipped_updates": state.skipped,
            "share_workers_waiting": recorder.mean_of("share_waiting"),
            "share_workers_abandoned": recorder.mean_of("share_abandoned"),
        }


def master(process: Process) -> ExitCode:
    """Learn until done or told to stop."""
    return train(process, Master(process))
