"""Dataset role: one shard, a process that holds its part of the episodes and answers the learner with batches.

What fits into `capacity` is read once. A larger part streams through: episodes make room for others at the rate at
which steps are drawn, so that each step is drawn `reuse` times wherever it lies.
"""

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from logging import getLogger
from math import ceil
from time import monotonic

from surreal.algorithms.datasets.dataset import Dataset, Reading
from surreal.algorithms.datasets.episode import Episode
from surreal.algorithms.datasets.fragments import PIECE, Fragments
from surreal.algorithms.datasets.opening import open_all
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.offline.config import OfflineConfig, read_config
from surreal.algorithms.replay.answers import Answers, Questions
from surreal.algorithms.replay.buffer import ReplayBuffer
from surreal.algorithms.replay.config import ReplaySettings
from surreal.algorithms.replay.rate_limiter import RateLimiter
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal, Stopping
from surreal.protocol.wire.packet import Message
from surreal.protocol.worker.process import Process

log = getLogger(__name__)
TURN_STEPS = 20_000
"""Steps that are taken in before requests have their turn."""
WAIT_SECONDS = 0.1
REPORT_SECONDS = 5.0
SPARE_ROWS = 1
"""Rows of an episode beside those of its steps: the observation that it ended in."""


class Filling(RateLimiter):
    """Limiter of a shard that answers once it is full."""

    def __init__(self, settings: ReplaySettings) -> None:
        super().__init__(settings)
        self._full = False

    @property
    def ready(self) -> bool:
        """True once the shard is full."""
        return self._full

    def fill(self, whole: bool) -> None:
        """Let sampling begin. Where not the `whole` shard has room, both sides keep the balance as it is now."""
        self._full, self._min_size = True, self.steps
        self._rate = None if whole else self._rate
        self._middle = (self._rate or 0.0) * self.steps


class Shard:
    """State of one shard."""

    def __init__(self, process: Process, config: OfflineConfig, dataset: Dataset, fragments: Fragments) -> None:
        wiring = process.wiring
        self._process, self._dataset = process, dataset
        index, shards = wiring.index, wiring.replicas[wiring.role]
        self.settings, self.streams = _fitted(config, dataset.lengths(index, shards), shards)
        self.buffer = ReplayBuffer(self.settings, process.rng, wiring.memory)
        self.limiter = Filling(self.settings)
        self._server = process.server("sample")
        self._questions = Questions(self._server, Answers(self.buffer, self.limiter, index, wiring.incarnation))
        self._fragments = fragments
        self.reading = Reading(dataset, (index, shards), process.rng, self._seen, config.skip_damaged)
        self._returns: list[float] = []
        self._left = self._pieces()
        self._name, self._number = wiring.name, 0
        self._reported = monotonic()

    def turn(self) -> None:
        """Read a few episodes where there is room, and answer what is asked."""
        if not (self._read() + self._questions.answer()):
            self._process.wait([self._server], WAIT_SECONDS)
        if monotonic() - self._reported > REPORT_SECONDS:
            self._report()

    def _pieces(self) -> Iterator[dict[str, Array]]:
        """Yield fragments: of the whole shard once where all of it has room, else without end."""
        while not self.reading.passes or self.limiter.ready:
            for pieces in self.reading.one_pass():
                yield from pieces
            if not self.streams:
                return

    def _seen(self, episode: Episode) -> list[dict[str, Array]]:
        found = list(self._fragments.of(episode))
        if not self.limiter.ready:
            self._returns.append(float(episode.rewards.sum()))
        return found

    def _read(self) -> int:
        """Take in some episodes; return their steps."""
        taken = 0
        while taken < TURN_STEPS and self.limiter.may_insert:
            arrays = next(self._left, None)
            if arrays is None:
                self.streams = False
                self._filled()
                return taken
            # the first episode that pushes out an older one shows that the window is full
            if self.streams and self.buffer.steps + len(arrays["rewards"]) + PIECE > self.settings.capacity:
                self._filled()
            steps = self._insert(arrays)
            self.limiter.inserted(steps, 1)
            taken += steps
        return taken

    def _insert(self, arrays: dict[str, Array]) -> int:
        """Take in a fragment; return its steps. Raises Fatal where the shard does not fit into the role's memory."""
        message = Message(self._name, 0, self._number, (0, 0), {}, arrays)
        self._number += 1
        try:
            return self.buffer.insert(message)
        except Fatal:
            raise Fatal(
                f"capacity: {self.settings.capacity:,} steps do not fit into roles.dataset.resources.memory. "
                "Set a lower capacity, more memory, or more roles.dataset.replicas."
            ) from None

    def _filled(self) -> None:
        if self.limiter.ready:
            return
        self.limiter.fill(whole=not self.streams)
        rest = f", and streams the rest of {self._dataset.place}" if self.streams else ""
        low, high, mean = min(self._returns), max(self._returns), sum(self._returns) / len(self._returns)
        said = f"{self.buffer.steps:,} steps, returns {low:,.4g} to {high:,.4g}, mean {mean:,.4g}{rest}"
        log.info("holds %s; %d damaged episodes", said, self.reading.skipped)
        self._report()

    def _report(self) -> None:
        self._reported = monotonic()
        row = {
            "dataset_steps": self.buffer.items,
            "dataset_read": self.buffer.steps,
            "dataset_passes": self.reading.passes,
            "dataset_samples": self.limiter.samples,
            "damaged_episodes": self.reading.skipped,
            "samples_blocked_share": self.limiter.waits["samples"].read(),
        }
        self._process.report(row)


def _fitted(config: OfflineConfig, lengths: list[int] | None, shards: int) -> tuple[ReplaySettings, bool]:
    """Return the settings of a shard with episodes of these lengths, and True where they do not fit into it."""
    settings = config.replay(shards)
    rows = None if lengths is None else sum(count + SPARE_ROWS * ceil(count / PIECE) for count in lengths)
    if rows is not None and rows <= settings.capacity + len(lengths or ()):
        held = settings.replay.model_copy(update={"capacity": max(rows, 1) * shards})
        return replace(settings, replay=held), False
    return replace(settings, updates_per_step=config.reuse / config.batch), True


def dataset(process: Process) -> None:
    """Serve one shard until told to stop."""
    wiring, config = process.wiring, read_config(process.config)
    with closing(make_env(wiring.env, wiring.code)) as env:
        fragments = Fragments(env.spaces)
    with closing(open_all(config.dataset, wiring.code)) as found, suppress(Stopping):
        recorded = found.about.env_id
        if recorded is not None and recorded != wiring.env["id"]:
            log.warning("dataset: it was recorded in %s, and policies are evaluated in %s", recorded, wiring.env["id"])
        shard = Shard(process, config, found, fragments)
        while not process.should_stop:
            shard.turn()
