"""Decision on the number of actors, from blocked time, the learner's starvation, and staleness, with hysteresis.

Pure: no clock, no files. The local supervisor and a cluster's loop call the same `Autoscaler`.
"""

import math
from dataclasses import dataclass

STARVED, FED = 0.3, 0.1
"""Share of its time that a learner waits for experience, from which actors are added, and up to which some may go."""
BLOCKED = 0.4
"""Share of their time that actors wait, from which some are removed."""
CLEAR = 0.5
"""Actors that wait more than this share of what the learner waits are not what the learner lacks."""
LOOKS = 3
"""Looks in a row that must agree."""
REST_S = 60.0
"""Seconds after a change in which the run settles."""
RELENT_S = 300.0
"""Seconds after a removal in which only twice the starvation adds again: what was removed was not missed at once."""
MOST_FACTOR = 2.0
"""Largest growth of one decision."""


@dataclass(frozen=True)
class Range:
    """The bounds of a role."""

    least: int
    most: int


@dataclass(frozen=True)
class Signs:
    """The state of a run in one look."""

    actors: int
    """Actors that the run has, be they up yet or not."""
    blocked: float | None
    """Mean share of the actors' time that they wait for room, or for weights; None is unknown."""
    starved: float | None
    """Share of the learner's time that it waits for experience; None is unknown."""
    staleness: float | None = None
    """Updates that the newest batch was behind."""
    stalest: float | None = None
    """Staleness that the algorithm bears; None for any."""
    heard: int | None = None
    """Actors of these that are heard from; None for all. The others still start, or find no room."""


@dataclass(frozen=True)
class Decision:
    """A number of actors, and the reason in words."""

    actors: int
    reason: str


class Autoscaler:
    """Decisions for one role of one run, in the order of time."""

    def __init__(self, bounds: Range) -> None:
        """Keep to these bounds."""
        self._bounds = bounds
        self._agreed = 0
        self._direction = 0
        self._changed_at = self._removed_at = -math.inf

    def look(self, signs: Signs, now: float) -> Decision | None:
        """Return a decision at `now`, seconds on any clock that goes on; None to leave all as it is."""
        wanted = self._wanted(signs, now)
        direction = 0 if wanted is None else (wanted.actors > signs.actors) - (wanted.actors < signs.actors)
        self._agreed = self._agreed + 1 if direction and direction == self._direction else int(direction != 0)
        self._direction = direction
        if wanted is None or not direction or self._agreed < LOOKS or now - self._changed_at < REST_S:
            return None
        self._changed_at, self._agreed = now, 0
        if direction < 0:
            self._removed_at = now
        return wanted

    def _wanted(self, signs: Signs, now: float) -> Decision | None:
        bounds, actors = self._bounds, signs.actors
        if actors < bounds.least:
            return Decision(bounds.least, f"{actors} are fewer than min {bounds.least}")
        if actors > bounds.most:
            return Decision(bounds.most, f"{actors} are more than max {bounds.most}")
        if signs.blocked is None or signs.starved is None:
            return None
        if signs.stalest is not None and signs.staleness is not None and signs.staleness > signs.stalest:
            fewer = max(bounds.least, actors - 1)
            why = f"experience is {signs.staleness:.1f} updates old, more than {signs.stalest:g}"
            return self._unless_same(actors, fewer, why)
        bar = 2 * STARVED if now - self._removed_at < RELENT_S else STARVED
        if signs.starved >= bar and signs.blocked <= CLEAR * signs.starved:
            if signs.heard is not None and signs.heard < actors:
                # More would come no sooner than those that are on their way.
                return None
            # The learner would be fed by as many more as it waits now for each that it has.
            needed = actors / max(1 - signs.starved + signs.blocked, 1 / MOST_FACTOR)
            more = min(bounds.most, max(actors + 1, math.floor(min(needed, MOST_FACTOR * actors))))
            why = f"the learner waits {signs.starved:.0%} of its time, actors {signs.blocked:.0%} of theirs"
            return self._unless_same(actors, more, why)
        if signs.blocked >= BLOCKED and signs.starved <= FED:
            # Half of what is too many at most: the rest is seen at the next look.
            fewer = max(bounds.least, actors - max(1, math.floor(actors * (signs.blocked - FED) / 2)))
            why = f"actors wait {signs.blocked:.0%} of their time, the learner {signs.starved:.0%} of its own"
            return self._unless_same(actors, fewer, why)
        return None

    def _unless_same(self, actors: int, wanted: int, why: str) -> Decision | None:
        return None if wanted == actors else Decision(wanted, why)
