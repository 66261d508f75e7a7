"""Which fragments make the next batch: one of every live actor, none too stale."""

from collections import deque
from collections.abc import Callable
from time import monotonic

from surreal.protocol.graph import ProcessName
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.wire.packet import Message

STARTUP = 60.0
"""Seconds that a learner waits for actors it has not heard of yet."""


class Collector:
    """Queues of received fragments per actor, and what was left out of batches."""

    def __init__(
        self,
        channel: StreamReceiver,
        actors: int,
        epoch: int,
        max_staleness: int,
        alive: Callable[[], set[int]],
    ) -> None:
        self._channel, self._actors, self._epoch, self._max_staleness = channel, actors, epoch, max_staleness
        self._alive, self._since = alive, monotonic()
        self._waiting: dict[int, deque[Message]] = {}
        self.dropped_stale = 0
        """Fragments older than max_staleness allows; none unless an actor was cut off."""
        self.dropped_epoch = 0
        """Fragments collected for a learner that died: what its death cost."""

    def collect(self, version: int) -> list[Message]:
        """Wait until every actor that is expected has a fragment fit for update `version`; one of each, by index.

        Raises Stopping. An actor counts as expected while it is heard from; one that never was, for the first minute.
        """
        while not self._complete(version):
            message = self._channel.recv(timeout=0.5)
            if message is not None:
                self._accept(message)
        return [self._waiting[index].popleft() for index in sorted(self._waiting) if self._waiting[index]]

    def _accept(self, message: Message) -> None:
        if message.version[0] != self._epoch:
            self.dropped_epoch += 1
            return
        index = ProcessName.parse(message.sender).index
        self._waiting.setdefault(index, deque()).append(message)

    def _complete(self, version: int) -> bool:
        for queue in self._waiting.values():
            while queue and version - queue[0].version[1] > self._max_staleness:
                queue.popleft()
                self.dropped_stale += 1
        have = {index for index, queue in self._waiting.items() if queue}
        return bool(have) and self._expected() <= have

    def _expected(self) -> set[int]:
        if monotonic() - self._since < STARTUP:
            return set(range(self._actors))
        return self._alive()
