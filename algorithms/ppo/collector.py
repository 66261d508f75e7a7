"""Fragments of the next batch: one of every actor that keeps up, none too stale, none malformed."""

from collections import deque
from collections.abc import Callable
from logging import getLogger
from time import monotonic

from surreal.algorithms.rollouts.fragment import Intake
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.wire.packet import Message

STARTUP = 60.0
"""Seconds that a learner waits for actors it has not heard of yet."""
SHORTEST_WAIT = 5.0
"""Seconds that a batch is waited for at least before it goes on without an actor."""
CALL_EVERY = 1.0
"""Seconds between two calls during a wait, with the names of those that are waited for."""
LOOK_EVERY = 0.5
"""Seconds between two looks at who is waited for."""
MOST_NAMES = 5
log = getLogger(__name__)


class Patience:
    """Time that a batch waits for an actor: so many times the usual time between two batches."""

    def __init__(self, factor: float) -> None:
        """Begin with the patience of a start, when environments are still being made."""
        self._factor, self._usual = factor, 0.0
        self._last: float | None = None
        self._began = monotonic()

    def begin(self) -> None:
        """Begin the wait for a batch."""
        self._began = monotonic()

    def complete(self) -> None:
        """Note that a batch came together: the time since the one before moves the usual time by a fifth."""
        now = monotonic()
        if self._last is not None:
            took = now - self._last
            self._usual += 0.2 * (took - self._usual) if self._usual else took
        self._last = now

    @property
    def waited(self) -> float:
        """Seconds of the present wait."""
        return monotonic() - self._began

    @property
    def over(self) -> bool:
        """True where the present wait is longer than what is usual allows."""
        return self.waited > (STARTUP if self._last is None else max(SHORTEST_WAIT, self._factor * self._usual))


class Collector(Intake):
    """Queues of received fragments per actor, and counts of what was left out of batches."""

    def __init__(
        self,
        channel: StreamReceiver,
        actors: int,
        epoch: int,
        max_staleness: int,
        alive: Callable[[], set[int]],
        problem: Callable[[Message], str] = lambda message: "",
        patience: float = 5.0,
        share: tuple[int, int] = (0, 1),
        least: int | None = None,
    ) -> None:
        """Take fragments of the actors below `actors` from `channel`; `problem` says what is wrong with one.

        With `share` (index, number) of several learners they are those of the actors `index`, `index + number`, ...
        Where their number changes there are `least` of them from the begin.
        """
        super().__init__(channel, range(share[0], actors, share[1]), epoch, problem)
        self._max_staleness, self._alive, self._since = max_staleness, alive, monotonic()
        self._patience, self._first = Patience(patience), {each for each in self._actors if each < (least or actors)}
        self._waiting: dict[int, deque[Message]] = {}
        self._late: set[int] = set()
        self.dropped_stale = 0
        """Fragments older than max_staleness allows; none unless an actor was cut off."""
        self.batches_without = 0
        """Batches that went on without an actor that was waited for in vain."""

    @property
    def dropped(self) -> tuple[int, int, int, int]:
        """Fragments dropped as stale, by a restart, as malformed; and batches that went on without an actor."""
        return self.dropped_stale, self.dropped_epoch, self.dropped_malformed, self.batches_without

    def collect(self, version: int, waiting: Callable[[str, float], None] = lambda names, _: None) -> list[Message]:
        """Wait for a fragment fit for update `version` from every expected actor; one of each, by index.

        An actor counts as expected while it is heard from; one that never was, for the first minute; one that took
        longer than the patience allows, not until its next fragment. Every second of waiting `waiting` is called with
        the names of those that are missing and the seconds so far. Raises Stopping.
        """
        self._patience.begin()
        said = looked = 0.0
        missing = self._missing(version)
        while missing:
            message = self._channel.recv(timeout=LOOK_EVERY)
            if message is not None:
                self._accept(message, version, missing)
            waited = self._patience.waited
            # A look goes through all actors, so there is none for each of a thousand messages.
            if not missing or waited > looked + LOOK_EVERY:
                looked, missing = waited, self._missing(version)
            if missing and waited > said + CALL_EVERY:
                said = waited
                waiting(_names(missing), waited)
        self._patience.complete()
        return [self._waiting[index].popleft() for index in sorted(self._waiting) if self._waiting[index]]

    def _accept(self, message: Message, version: int, missing: set[int]) -> None:
        index = self.sender(message, version)
        if index is not None:
            missing.discard(index)
            self._late.discard(index)
            self._waiting.setdefault(index, deque()).append(message)

    def _missing(self, version: int) -> set[int]:
        """Return the actors that the batch waits for; gives up those that took too long."""
        for queue in self._waiting.values():
            while queue and version - queue[0].version[1] > self._max_staleness:
                queue.popleft()
                self.dropped_stale += 1
        have = {index for index, queue in self._waiting.items() if queue}
        missing = self._expected() - have - self._late
        if missing and have and self._patience.over:
            self._late |= missing
            self.batches_without += 1
            text = "the batch goes on without %d actors, actor/%d the first of them, after %.0f s"
            log.warning(text, len(missing), min(missing), self._patience.waited)
            missing = set()
        if not missing and not have:  # a batch of nothing is none, however late all are
            missing = self._expected() or self._actors
        return set(missing)

    def _expected(self) -> set[int]:
        if monotonic() - self._since < STARTUP:
            return self._first | (self._alive() & self._actors)
        return self._alive() & self._actors


def _names(missing: set[int]) -> str:
    """Return the names of the first of some actors."""
    first = sorted(missing)
    return ", ".join(f"actor/{index}" for index in first[:MOST_NAMES]) + (", ..." if first[MOST_NAMES:] else "")
