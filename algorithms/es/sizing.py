"""Forecast of a run of ES or ARS of some size, from what was measured on one core: `surreal plan` says it.

Pure arithmetic: it makes no environment and imports nothing that is slow to import.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any, NamedTuple

from surreal.algorithms.algorithm import Sizing
from surreal.algorithms.es.config import AnyConfig, ESConfig, chunk_size


class Known(NamedTuple):
    """Measured facts of an environment."""

    observation: int
    action: int
    steps: int
    """Steps of a full episode."""
    rate: float
    """Environment steps a second of one worker on one core."""


# Measured: python benchmarks es.rates, one core of an AMD EPYC virtual machine
ENVIRONMENTS = {
    "HalfCheetah-v5": Known(17, 6, 1000, 10_000),
    "Hopper-v5": Known(11, 3, 1000, 5_000),
    "Walker2d-v5": Known(17, 6, 1000, 5_000),
    "Swimmer-v5": Known(8, 2, 1000, 7_000),
    "Ant-v5": Known(105, 8, 1000, 2_200),
    "Humanoid-v5": Known(348, 17, 1000, 1_400),
    "Pendulum-v1": Known(3, 1, 200, 25_000),
    "CartPole-v1": Known(4, 2, 500, 35_000),
}
OTHER = "HalfCheetah-v5"
"""The environment that an unknown one is taken for."""
PAIR = 3e-10
"""Seconds of the master for each pair and parameter: python benchmarks es.rates."""
# Of one master with thousands of workers: python benchmarks es.capacity
MESSAGE = 5e-5
"""Seconds of its working thread for each message of results."""
BEATS = 0.1
"""Share of a core that the beats of a thousand workers and more take."""
SENT = 1.5e-9
"""Seconds of libzmq's thread for each byte of weights."""
RELAY = 1e8
"""Bytes of weights a second, 0.8 Gbit/s, that one process may well send."""


@dataclass(frozen=True)
class Size:
    """A run in figures."""

    config: AnyConfig
    workers: int
    copies: int
    relays: int
    env: Known

    @property
    def parameters(self) -> int:
        """Number of parameters of the policy."""
        hidden, bias = (self.config.hidden, 1) if isinstance(self.config, ESConfig) else ([], 0)
        widths = [self.env.observation, *hidden, self.env.action]
        return sum((into + bias) * out for into, out in zip(widths, widths[1:], strict=False))

    @property
    def episodes(self) -> int:
        """Episodes of a generation."""
        return 2 * self.config.pairs

    @property
    def generation(self) -> float:
        """Seconds that the workers take for one, if its episodes are full ones."""
        return self.episodes * self.env.steps / (self.workers * self.env.rate)

    @property
    def chunk(self) -> int:
        """Pairs in a message."""
        return chunk_size(self.config, self.workers)

    @property
    def update(self) -> float:
        """Seconds of the master's working thread for a generation."""
        return self.config.pairs * (PAIR * self.parameters + MESSAGE / self.chunk)

    @property
    def weights(self) -> float:
        """Bytes a second that the master sends."""
        return 4 * self.parameters * (self.relays or self.workers) / self.generation

    @property
    def most(self) -> int:
        """Workers of this speed that one master takes: its interpreter and libzmq's thread are a core each."""
        computing = self.workers * (1 - BEATS) * self.generation / self.update
        growth = self.weights * SENT / (self.workers if self.relays else self.workers**2)  # all of a generation sooner
        return int(min(computing, 1 / growth if self.relays else sqrt(1 / growth)))

    @property
    def busy(self) -> int:
        """Workers that the generations keep busy: whose results are not too old when they come, or who have an episode
        each in a fixed generation."""
        generations = 1 if self.config.deterministic else max(1, self.config.max_staleness)
        return generations * self.episodes // self.copies

    @property
    def efficiency(self) -> float:
        """Speed of the workers together over that of as many alone."""
        if not self.config.deterministic:
            return min(1.0, self.most / self.workers, self.busy / self.workers)
        rounds = self.episodes / (self.workers * self.copies)
        # a fixed generation waits for its last round, and for the update
        return rounds / ceil(rounds) * self.generation / (self.generation + self.update)

    @property
    def bytes_per_episode(self) -> float:
        """Bytes of results: a pair, its part of the sums of observations and of the header."""
        sums = 16 * self.env.observation + 8 if self.config.normalize_observations == "running" else 0
        share = min(1.0, self.config.statistics_share * self.chunk)
        return (24 + (sums * share + 110) / self.chunk) / 2


def sizing(config: AnyConfig, replicas: Mapping[str, int], env: Mapping[str, Any]) -> Sizing:
    """Return what to expect of a run with `replicas` processes of each role in `env`, and what to change."""
    known = ENVIRONMENTS.get(env["id"])
    relays = replicas.get("weights-relay", 0)
    size = Size(config, max(1, replicas["worker"]), env["copies"], relays, known or ENVIRONMENTS[OTHER])
    assumed = "" if known else f"; {env['id']} is not known here and was taken for {OTHER}"
    return Sizing((*_notes(size, assumed),), (*_advice(size),))


def _number(value: float) -> str:
    """Return two digits, or all of a large number."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _notes(size: Size, assumed: str) -> Iterator[str]:
    env, kind = size.env, "fixed" if size.config.deterministic else "open"
    yield (
        f"{size.workers:,} workers take the {size.episodes:,} episodes of a generation in about "
        f"{_number(size.generation)} s, at {env.rate:,.0f} steps/s on a core for each and {env.steps:,} steps an "
        f"episode{assumed}"
    )
    yield (
        f"expected: {_number(size.workers * size.efficiency)} times the speed of one worker, efficiency "
        f"{size.efficiency:.2f} ({kind} generations, which keep up to {size.busy:,} workers with {size.copies} "
        f"environments each busy)"
    )
    yield (
        f"the master takes about {size.most:,} such workers with {size.parameters:,} parameters; these need "
        f"{_number(100 * size.update / size.generation)} % of a core there for results and updates"
    )
    yield (
        f"traffic: {size.bytes_per_episode:.0f} bytes of results for each episode, {_number(size.weights / 1e6)} MB/s "
        f"of weights from the master"
    )


def _advice(size: Size) -> Iterator[str]:
    workers, key = size.workers, "population" if isinstance(size.config, ESConfig) else "directions"
    if workers > max(size.busy, 1):
        needed = ceil(size.episodes * workers / max(size.busy, 1))
        enough = f"{key} of {needed + needed % 2 if key == 'population' else ceil(needed / 2):,}"
        why = "have no episode" if size.config.deterministic else "only send results that are dropped as too old"
        yield f"about {workers - size.busy:,} of {workers:,} workers {why}: a {enough}, or fewer workers or copies"
        return
    if workers > size.most:
        yield (
            f"{workers:,} workers are more than the {size.most:,} that one master takes: a larger {key}, more pairs in "
            f"a chunk (now {size.chunk}), fewer parameters or longer episodes"
        )
    if size.weights > RELAY:
        relays = ceil(size.weights / RELAY)
        yield (
            f"the master would send {size.weights / 1e6:,.0f} MB/s of weights: a larger {key} lowers that, and "
            f"channels: {{weights: {{relays: {relays}}}}} spreads it"
        )
