"""Queue of fragments in the learner, and the old ones that it may replay."""

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

import numpy as np

from surreal.algorithms.rollouts.fragment import Intake
from surreal.algorithms.training_loop import Waiting
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.wire.packet import Message

LOOK_EVERY = 0.5
"""Seconds between two calls during a wait."""


class FragmentQueue(Intake):
    """Fragments in the order they came, whichever actors sent them."""

    def __init__(
        self,
        channel: StreamReceiver,
        actors: int,
        epoch: int,
        problem: Callable[[Message], str],
        batch: int,
        lag: int = 0,
    ) -> None:
        """Give out `batch` fragments at a time, each of them `lag` batches after it came."""
        super().__init__(channel, range(actors), epoch, problem)
        self._batch, self._held = batch, batch * lag
        self._queue: deque[Message] = deque()

    def collect(self, version: int, waiting: Waiting) -> list[Message]:
        """Wait for the fragments of update `version`. Raises Stopping."""
        began = monotonic()
        while (missing := self._held + self._batch - len(self._queue)) > 0:
            message = self._channel.recv(timeout=LOOK_EVERY)
            if message is None:
                waiting(f"{missing} fragments of actors", monotonic() - began)
            elif self.sender(message, version) is not None:
                self._queue.append(message)
        return [self._queue.popleft() for _ in range(self._batch)]


class Replay:
    """The last fragments that were learned from, to draw from again."""

    def __init__(self, ratio: float, capacity: int, rng: np.random.Generator) -> None:
        """Keep `capacity` fragments, and draw `ratio` for each new one."""
        self._ratio, self._rng, self._owed = ratio, rng, 0.0
        self._kept: deque[Message] = deque(maxlen=capacity)

    def draw(self, new: int) -> list[Message]:
        """Return old fragments for `new` new ones; none before there are any."""
        if not self._kept or not self._ratio:
            return []
        self._owed += self._ratio * new
        count = int(self._owed)
        self._owed -= count
        return [self._kept[index] for index in self._rng.integers(len(self._kept), size=count)]

    def keep(self, messages: list[Message]) -> None:
        """Take in fragments that were learned from."""
        if self._ratio:
            self._kept.extend(messages)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs, as JSON: the generator, and not the fragments, which are of old weights."""
        return {"rng": self._rng.bit_generator.state}
