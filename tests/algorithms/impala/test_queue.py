"""Which fragments an update gets: any that have come, none of another learner, and old ones where asked for."""

from collections import Counter

import numpy as np
import pytest

from surreal.algorithms.impala.queue import FragmentQueue, Replay
from surreal.protocol.wire.packet import Message
from tests.algorithms.scripted import fragment, scripted


def queue(*messages: Message | None, batch: int = 2, lag: int = 0) -> FragmentQueue:
    receiver = scripted(*messages)
    return FragmentQueue(receiver, 2, 1, lambda message: "", batch, lag)


def versions(messages: list[Message]) -> list[int]:
    return [message.version[1] for message in messages]


def nothing(names: str, seconds: float) -> None:
    """No complaint about a wait."""


def test_an_update_takes_any_fragments_even_all_of_one_actor() -> None:
    ours = queue(fragment(1, 0), fragment(1, 0), fragment(1, 1), fragment(0, 0))
    assert [message.sender for message in ours.collect(0, nothing)] == ["actor/1", "actor/1"]
    assert [message.sender for message in ours.collect(1, nothing)] == ["actor/1", "actor/0"]


def test_a_wait_is_said_and_goes_on() -> None:
    said: list[str] = []
    ours = queue(None, fragment(0, 0), None, fragment(0, 0))
    ours.collect(0, lambda names, _: said.append(names))
    assert said == ["2 fragments of actors", "1 fragments of actors"]


def test_fragments_of_a_learner_that_died_and_of_strangers_are_dropped_and_counted() -> None:
    ours = queue(fragment(0, 9, epoch=0), fragment(7, 0), fragment(0, 5), fragment(0, 0), batch=1)
    assert versions(ours.collect(0, nothing)) == [0]
    assert (ours.dropped_epoch, ours.dropped_malformed) == (1, 2)


def test_an_artificial_lag_gives_fragments_that_are_so_many_updates_old() -> None:
    sent = [fragment(0, version) for version in (0, 0, 0, 1, 2, 3, 4)]  # the actor sees each new version at once
    ours = queue(*sent, batch=1, lag=2)
    staleness = [update - versions(ours.collect(update, nothing))[0] for update in range(5)]
    assert staleness == [0, 1, 2, 2, 2]


@pytest.mark.parametrize("ratio", [0.25, 1.0, 2.5])
def test_replay_draws_so_many_old_fragments_for_each_new_one(ratio: float) -> None:
    replay, drawn, new = Replay(ratio, 16, np.random.default_rng(0)), 0, 0
    assert replay.draw(2) == []
    for update in range(40):
        replay.keep([fragment(0, update), fragment(1, update)])
        found = replay.draw(2)
        drawn, new = drawn + len(found), new + 2
        assert all(update - 8 < version <= update for version in versions(found))
    assert drawn == int(ratio * new)


def test_replay_draws_all_that_it_keeps_alike() -> None:
    replay = Replay(1.0, 4, np.random.default_rng(0))
    replay.keep([fragment(0, version) for version in range(6)])
    counts = Counter(versions(replay.draw(4000)))
    assert sorted(counts) == [2, 3, 4, 5] and min(counts.values()) > 900
