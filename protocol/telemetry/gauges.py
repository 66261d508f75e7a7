"""The newest numbers of an algorithm's metrics, kept where Prometheus can find them."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from surreal.protocol.graph import role_of
from surreal.protocol.wiring import Wiring

MAX_GAUGES = 1000
"""Names of metrics that are kept; processes report them, and each name costs memory."""
STALE_AFTER_S = 60.0
"""Age of the newest figures from which a run is said to make no progress, and its speed to be unknown."""
SPEED_SECONDS = 10.0
"""Time up to now that a speed is of, once the next figures are late."""


@dataclass(frozen=True)
class Progress:
    """Progress of a training: the metrics that the status of a run shows, under the names that algorithms report."""

    steps: int = 0
    """Environment steps of all actors together."""
    total_steps: int | None = None
    updates: int = 0
    """Updates made: gradient steps where the algorithm learns from replay or a dataset."""
    steps_per_second: float | None = None
    rate_seconds: float | None = None
    """Seconds that `steps_per_second` was counted over: the next figures come after as many, about."""
    episode_return: float | None = None
    """Mean return of the last training episodes."""
    eval_return: float | None = None
    """Mean return of the newest deterministic evaluation."""
    refused_fragments: int = 0
    """Fragments of actors that were dropped, since they held NaN, infinity or arrays of another shape."""
    staleness: float | None = None
    """Policy updates that the weights of the newest batch were behind."""
    elapsed: float | None = None
    """Seconds of training, over all attempts."""
    hours: float | None = None
    """Hours in which the process that ends the run was there, over all attempts."""
    cost: float | None = None
    """US dollars of these hours at the price of the plan; null where a price is not known."""
    progress_at: float | None = None
    """The time of these figures, seconds since 1970 in UTC."""
    progress_age: float | None = None
    """Seconds since then, or since the process that writes them was started; null once the run is over."""
    waiting_for: str | None = None
    """Subject that the next update has waited for, for ten seconds or more; null while it does not."""
    trouble: str | None = None
    """The reason why files of the run cannot be written; null while they can."""

    def seen_at(self, now: float, started: float | None = None) -> "Progress":
        """Return the progress as it is `now`, seconds since 1970: with its age and its speed up to now.

        `started` is when the process that writes the figures was started last: before, there could be none.
        """
        known = [moment for moment in (self.progress_at, started) if moment is not None]
        if not known:
            return self
        written = self.progress_at
        fresh = written is not None and now - written < STALE_AFTER_S and written >= (started or 0.0)
        speed = self._speed_at(now) if fresh else None
        return replace(self, progress_age=round(max(0.0, now - max(known)), 1), steps_per_second=speed)

    def _speed_at(self, now: float) -> float | None:
        """Return the steps per second of the last SPEED_SECONDS, of which the part after the figures were due has none.

        They are due after twice the time that their speed is of; where that is not known, it stays.
        """
        if not self.steps_per_second or self.rate_seconds is None or self.progress_at is None:
            return self.steps_per_second
        late = now - self.progress_at - 2 * self.rate_seconds
        return self.steps_per_second * (1 - min(max(0.0, late) / SPEED_SECONDS, 1.0))

    @property
    def stalled(self) -> bool:
        """True where there has been no progress for so long that it should be said."""
        return self.progress_age is not None and self.progress_age >= STALE_AFTER_S

    @property
    def eta_seconds(self) -> float | None:
        """Return the seconds left at the present speed; None while that is unknown."""
        if self.total_steps is None or not self.steps_per_second:
            return None
        return round(max(0, self.total_steps - self.steps) / self.steps_per_second, 1)


CHECKPOINT = "a checkpoint"
"""The kind of file in `trouble` that a resume needs."""
PROGRESS_WORDS = ("waiting_for", "trouble")
"""Words that are said of a run."""
PROGRESS_KEYS = tuple(
    each.name for each in fields(Progress) if not each.name.startswith("progress_") and each.name not in PROGRESS_WORDS
)
"""Metrics that algorithms report; the rest says how old those are, and why."""


def gauge_name(role: str, key: str) -> str:
    """Return the role and the key, with `_` for what Prometheus does not allow in a name."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", f"{role}_{key}")


@dataclass(eq=False)
class Gauges:
    """Name -> process -> newest value. Any thread may set and read."""

    wiring: Wiring
    """The run whose processes are accepted."""
    _values: dict[str, dict[str, float]] = field(default_factory=dict, init=False)

    def set(self, process: str, row: Mapping[str, Any]) -> None:
        """Keep the finite numbers in `row`, metrics of `process` (`actor/3`), and forget those that are none any more.

        `gauge_name` says what a gauge is called.
        """
        if not self.wiring.has(process):
            return
        role = role_of(process)
        for key, value in row.items():
            name = gauge_name(role, key)
            if isinstance(value, int | float) and math.isfinite(value):
                if name in self._values or len(self._values) < MAX_GAUGES:
                    self._values.setdefault(name, {})[process] = float(value)
            else:
                self._values.get(name, {}).pop(process, None)

    def of(self, process: str, key: str) -> float | None:
        """Return the newest value of one process; None where it has none."""
        return self._values.get(gauge_name(role_of(process), key), {}).get(process)

    def values(self) -> dict[str, dict[str, float]]:
        """Return a copy, in order of name."""
        return {name: dict(values) for name, values in sorted(self._values.copy().items())}
