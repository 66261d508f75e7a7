"""Rate limiter of a shard: how far sampling and inserting may be ahead of each other.

With s items sampled for each step inserted, the balance of a shard is s x steps - samples. Both sides keep it within
`error` of s x min_size, where the first batch is drawn (the rule of Cassirer et al. 2021, section 3.3). Steps that were
overwritten count as well as those that are there. A restored shard goes on from how far it was ahead: other settings
than before hold from then on, not for the steps and samples of before.
"""

from time import perf_counter

from surreal.algorithms.replay.config import ReplaySettings

SPARE_BATCHES = 2
"""Batches of slack beyond those that the learner asks for ahead."""
FRAGMENTS_AHEAD, FEW_AHEAD = 2.0, 1.0
"""Fragments of each sender that the slack holds; few where a step has several updates and the learner never waits."""


class RateLimiter:
    """Counts of one shard, and the side that has to wait."""

    def __init__(self, settings: ReplaySettings) -> None:
        self._min_size, self._rate = settings.min_size, settings.samples_per_step
        rate = self._rate or 0.0
        slack = settings.replay.slack or settings.replay.prefetch + SPARE_BATCHES
        self._middle = rate * self._min_size
        # with a batch at least, never both sides wait
        self._error = max(slack * settings.batch / settings.shards, settings.batch)
        self._chosen = settings.replay.slack > 0
        self._ahead = FEW_AHEAD if (settings.updates_per_step or 0.0) > 1 else FRAGMENTS_AHEAD
        self.steps = self.samples = 0
        self._credit = 0.0
        """Part of the balance that other settings have left."""
        self.waits = {"inserts": Waits(), "samples": Waits()}

    @property
    def ahead(self) -> float:
        """Items by which inserting is ahead of where both sides are even."""
        return self._balance - self._middle if self.ready and self._rate else 0.0

    def restore(self, steps: int, samples: int, ahead: float | None) -> None:
        """Go on after so many steps and samples. `ahead` is what was saved with them, None by an older version."""
        self.steps, self.samples, self._credit = steps, samples, 0.0
        if not self.ready:
            self._credit = samples  # so that both sides are even once it is
        elif ahead is not None:
            self._credit = self._middle + ahead - self._balance

    def inserted(self, steps: int, senders: int) -> None:
        """Count a fragment. The slack, unless it was set, lets all senders be ahead while others learn."""
        self.steps += steps
        if not self._chosen:
            self._error = max(self._error, self._ahead * (self._rate or 0.0) * steps * senders)

    @property
    def ready(self) -> bool:
        """True once the shard has had min_size steps."""
        return self.steps >= self._min_size

    @property
    def may_insert(self) -> bool:
        """True where a fragment may be taken in."""
        free = self._rate is None or not self.ready or self._balance < self._middle + self._error
        self.waits["inserts"].note(not free)
        return free

    def may_sample(self, count: int) -> bool:
        """Return True where `count` items may be drawn."""
        free = self.ready and (self._rate is None or self._balance - count >= self._middle - self._error)
        self.waits["samples"].note(not free)
        return free

    @property
    def _balance(self) -> float:
        return (self._rate or 0.0) * self.steps - self.samples + self._credit


class Waits:
    """Share of the time in which one side was held up."""

    def __init__(self) -> None:
        self._since = self._read_at = perf_counter()
        self._waiting, self._seconds = False, 0.0

    def note(self, waiting: bool) -> None:
        """Note that from now on this side waits, or does not."""
        now = perf_counter()
        self._seconds += (now - self._since) * self._waiting
        self._since, self._waiting = now, waiting

    def read(self) -> float:
        """Return the share since the last call."""
        self.note(self._waiting)
        share = self._seconds / max(self._since - self._read_at, 1e-9)
        self._read_at, self._seconds = self._since, 0.0
        return min(1.0, share)
