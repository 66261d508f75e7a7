"""Fragments in a fixed order, for tests of what a learner takes of them."""

from collections import deque
from typing import cast

import numpy as np

from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.wire.packet import Message


class _Script:
    """Hands out fragments in a fixed order, as a receiver would; fails when asked for more."""

    def __init__(self, *messages: Message | None) -> None:
        self._messages = deque(messages)

    def recv(self, timeout: float) -> Message | None:
        return self._messages.popleft()


def scripted(*messages: Message | None) -> StreamReceiver:
    """The end of a stream that gives these messages, and nothing where there is None."""
    return cast(StreamReceiver, _Script(*messages))


def fragment(actor: int, version: int, epoch: int = 1) -> Message:
    """A message of an actor, of no steps."""
    return Message(f"actor/{actor}", 1, 0, (epoch, version), {}, {"rewards": np.zeros(1)})
