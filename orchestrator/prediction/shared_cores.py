"""Processes of a run that share the cores of one machine: the time of a step, by a simulation of its events."""

import heapq
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, cycle
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.random import Generator

UPDATES, FIRST = 150, 20
"""Updates that are simulated, and of these the first, in which the graph fills."""
MOST = 48
"""Actors that are simulated; more of them count as that many that need as much of the cores together."""
IN_QUEUE = 2
"""Fragments of an actor that wait to be learned from where only a full queue stops it."""
LEAST_SPREAD = 0.01
"""Relative deviation below which times are as good as constant."""
LEARNER = -1
"""Index of the learner among the processes."""


def fluctuations(spread: float, shape: tuple[int, ...], random: "Generator") -> Any:
    """Return factors of `shape`: gamma distributed, with mean 1 and deviation `spread`; ones without any."""
    import numpy as np

    if spread < LEAST_SPREAD:
        return np.ones(shape)
    factors = random.gamma(spread**-2, size=shape)
    return factors / factors.mean()


@dataclass(frozen=True)
class Work:
    """Work on one fragment, or on one update: seconds with a core, and without one."""

    cpu: float
    idle: float = 0.0
    """Seconds asleep, such as in an environment that waits for a device."""
    spread: float = 0.0
    """Standard deviation of both, relative to the mean."""

    def draws(self, seed: int, first: float = 1.0) -> Iterator[tuple[float, float]]:
        """Yield (idle, cpu) of one piece of work after the other: gamma distributed, the same in each call.

        Of the first piece there is a share only.
        """
        import numpy as np

        factors = fluctuations(self.spread, (997,), np.random.default_rng(seed))
        shares = chain([first * factors[0]], cycle(factors.tolist()))
        return ((self.idle * share, self.cpu * share) for share in shares)


def update_seconds(acting: Work, learning: Work, actors: int, ahead: int | None, cores: float) -> float:
    """Return the mean time of an update that `actors` and a learner make on `cores` that all share fairly.

    An update takes a fragment of every actor, and an actor may be `ahead` updates; without that bound an update takes
    as many fragments of any actors, and each of them may have IN_QUEUE waiting. While N processes have work, each has
    a core for min(1, cores / N) of the time (processor sharing).
    """
    number = min(actors, MOST)
    group = Work(acting.cpu * actors / number, acting.idle, acting.spread)
    return _Graph(group, learning, number, ahead, cores).run()


@dataclass
class _Graph:
    """The graph at one moment."""

    acting: Work
    learning: Work
    actors: int
    ahead: int | None
    cores: float
    now: float = 0.0
    served: float = 0.0
    """Seconds of a core that a process which always had work would have got: the clock of all that have."""
    asleep: list[tuple[float, int, float]] = field(default_factory=list)
    """Heap of (time of waking, process, cpu that follows)."""
    working: list[tuple[float, int]] = field(default_factory=list)
    """Heap of (`served` at the end, process)."""
    published: int = 0

    def run(self) -> float:
        self.made, self.busy, self.learns = [0] * self.actors, [False] * self.actors, False
        self.fragments: deque[int] = deque()
        # Actors that wait for no update do not begin in step.
        firsts = [1.0 if self.ahead is not None else (index + 0.5) / self.actors for index in range(self.actors)]
        self.work = [self.acting.draws(index, first) for index, first in enumerate(firsts)]
        self.update, began = self.learning.draws(self.actors), 0.0
        for index in range(self.actors):
            self._act(index)
        while self.published < UPDATES:
            if self._end_next() == LEARNER and self.published == FIRST:
                began = self.now
        return (self.now - began) / (UPDATES - FIRST)

    def _end_next(self) -> int:
        """Go on to the next end of some work, and begin what it lets begin; return the process."""
        while True:
            rate = min(1.0, self.cores / len(self.working)) if self.working else 1.0
            end = self.now + (self.working[0][0] - self.served) / rate if self.working else math.inf
            wakes = bool(self.asleep) and self.asleep[0][0] <= end
            until = self.asleep[0][0] if wakes else end
            self.served += (until - self.now) * rate
            self.now = until
            if not wakes:
                break
            _, process, cpu = heapq.heappop(self.asleep)
            heapq.heappush(self.working, (self.served + cpu, process))
        _, process = heapq.heappop(self.working)
        self._learned() if process == LEARNER else self._acted(process)
        return process

    def _acted(self, actor: int) -> None:
        self.made[actor] += 1
        self.busy[actor] = False
        self.fragments.append(actor)
        self._act(actor)
        self._learn()

    def _learned(self) -> None:
        self.published += 1
        self.learns = False
        self._learn()
        for actor in range(self.actors):
            self._act(actor)

    def _act(self, actor: int) -> None:
        """Begin a fragment, unless the actor has to wait."""
        if self.ahead is None:
            free = self.fragments.count(actor) < IN_QUEUE
        else:
            free = self.made[actor] <= self.published + self.ahead
        if free and not self.busy[actor]:
            self.busy[actor] = True
            self._begin(actor, *next(self.work[actor]))

    def _learn(self) -> None:
        """Begin an update, unless fragments are missing."""
        ready = len(self.fragments) >= self.actors if self.ahead is None else min(self.made) > self.published
        if ready and not self.learns:
            self.learns = True
            for _ in range(self.actors):
                self.fragments.popleft()
            self._begin(LEARNER, *next(self.update))

    def _begin(self, process: int, idle: float, cpu: float) -> None:
        if idle:
            heapq.heappush(self.asleep, (self.now + idle, process, cpu))
        else:
            heapq.heappush(self.working, (self.served + cpu, process))
