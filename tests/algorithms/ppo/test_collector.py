"""Which fragments make a batch."""

from collections import deque
from typing import Any, cast

import numpy as np
import pytest

from surreal.algorithms.ppo import collector as module
from surreal.algorithms.ppo.collector import Collector
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.wire.packet import Message


class Script:
    """Hands out fragments in a fixed order, as a receiver would; fails when asked for more."""

    def __init__(self, *messages: Message) -> None:
        self._messages = deque(messages)

    def recv(self, timeout: float) -> Message:
        return self._messages.popleft()


def fragment(actor: int, version: int, epoch: int = 1) -> Message:
    return Message(f"actor/{actor}", 1, 0, (epoch, version), {}, {"rewards": np.zeros(1)})


def collector(*messages: Message, actors: int = 2, alive: Any = None, staleness: int = 1) -> Collector:
    receiver = cast(StreamReceiver, Script(*messages))
    return Collector(receiver, actors, 1, staleness, lambda: alive or set(range(actors)))


def senders(messages: list[Message]) -> list[str]:
    return [message.sender for message in messages]


def test_a_batch_is_one_fragment_of_every_actor_in_the_order_of_their_indices() -> None:
    ours = collector(fragment(1, 0), fragment(1, 0), fragment(0, 0))
    assert senders(ours.collect(0)) == ["actor/0", "actor/1"]


def test_what_came_early_is_kept_for_the_next_batch() -> None:
    ours = collector(fragment(1, 0), fragment(1, 0), fragment(0, 0), fragment(0, 1))
    ours.collect(0)
    assert senders(ours.collect(1)) == ["actor/0", "actor/1"]


def test_a_fragment_too_stale_is_dropped_and_counted() -> None:
    ours = collector(fragment(0, 0), fragment(0, 2), actors=1)
    assert ours.collect(2)[0].version == (1, 2)
    assert ours.dropped_stale == 1


def test_fragments_for_a_learner_that_died_are_dropped_and_counted() -> None:
    ours = collector(fragment(0, 7, epoch=0), fragment(0, 3), actors=1)
    assert ours.collect(3)[0].version == (1, 3)
    assert ours.dropped_epoch == 1


def test_after_the_start_a_batch_does_not_wait_for_an_actor_that_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STARTUP", 0.0)
    ours = collector(fragment(1, 0), alive={1})
    assert senders(ours.collect(0)) == ["actor/1"]
