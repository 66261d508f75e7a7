"""Which fragments make a batch."""

from typing import Any

import pytest

from surreal.algorithms.ppo import collector as module
from surreal.algorithms.ppo.collector import Collector
from surreal.protocol.wire.packet import Message
from tests.algorithms.scripted import fragment, scripted


def collector(
    *messages: Message | None, actors: int = 2, alive: Any = None, staleness: int = 1, **options: Any
) -> Collector:
    receiver = scripted(*messages)
    return Collector(receiver, actors, 1, staleness, lambda: alive or set(range(actors)), **options)


class Clock:
    """A clock that moves by `tick` seconds at each look."""

    def __init__(self, tick: float) -> None:
        self.now, self.tick = 100.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


def senders(messages: list[Message]) -> list[str]:
    return [message.sender for message in messages]


def test_a_batch_is_one_fragment_of_every_actor_in_the_order_of_their_indices() -> None:
    ours = collector(fragment(1, 0), fragment(1, 0), fragment(0, 0))
    assert senders(ours.collect(0)) == ["actor/0", "actor/1"]


def test_what_came_early_is_kept_for_the_next_batch() -> None:
    ours = collector(fragment(1, 0), fragment(1, 0), fragment(0, 0), fragment(0, 1))
    ours.collect(0)
    assert senders(ours.collect(1)) == ["actor/0", "actor/1"]


def test_a_batch_of_many_actors_is_not_looked_through_for_each_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "monotonic", lambda: 100.0)
    looks = []
    everyone = set(range(300))
    receiver = scripted(*(fragment(index, 0) for index in reversed(range(300))))
    ours = Collector(receiver, 300, 1, 1, lambda: looks.append(1) or everyone)  # type: ignore[func-returns-value]
    assert len(ours.collect(0)) == 300
    assert len(looks) == 2


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


@pytest.mark.parametrize("sender", ["actor/x", "actor/2", "evaluator/0", "actor", "actor/-1"])
def test_what_no_actor_of_the_run_sent_is_refused_and_counted(sender: str, caplog: pytest.LogCaptureFixture) -> None:
    stranger = Message(sender, 1, 0, (1, 0), {}, {})
    ours = collector(stranger, fragment(0, 0), fragment(1, 0))
    assert senders(ours.collect(0)) == ["actor/0", "actor/1"]
    assert ours.dropped_malformed == 1
    assert f"{sender} sent no fragment of this run" in caplog.text


def test_a_malformed_fragment_is_refused_and_counted_and_the_next_one_is_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad = Message("actor/0", 1, 0, (1, 0), {}, {})
    ours = collector(
        bad, fragment(0, 0), actors=1, problem=lambda message: "" if message.arrays else "no array 'rewards'"
    )
    assert ours.collect(0)[0].arrays
    assert ours.dropped_malformed == 1
    assert "actor/0 sent no fragment of this run: no array 'rewards'" in caplog.text


def test_a_fragment_of_weights_that_are_not_out_yet_is_refused() -> None:
    ours = collector(fragment(0, 9), fragment(0, 3), actors=1)
    assert ours.collect(3)[0].version == (1, 3)
    assert ours.dropped_malformed == 1


def test_a_batch_goes_on_without_an_actor_that_takes_too_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "monotonic", Clock(0.5))
    quiet = [None] * 40
    ours = collector(
        *(fragment(0, 0), fragment(1, 0)),  # the first batch
        *(fragment(0, 1), *quiet),
    )
    assert senders(ours.collect(0)) == ["actor/0", "actor/1"]
    assert senders(ours.collect(1)) == ["actor/0"]
    assert ours.batches_without == 1
    assert "the batch goes on without 1 actors, actor/1 the first of them" in caplog.text


def test_an_actor_that_took_too_long_is_not_waited_for_again_until_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "monotonic", Clock(0.5))
    quiet = [None] * 40
    first = [fragment(0, 0), fragment(1, 0), fragment(0, 1), *quiet]
    ours = collector(*first, fragment(0, 2), fragment(1, 2), fragment(0, 3), fragment(1, 3), fragment(0, 4))
    batches = [senders(ours.collect(version)) for version in range(4)]
    # actor/1 is late for batch 1, absent without a wait in batch 2, and back from batch 3 on
    assert batches == [["actor/0", "actor/1"], ["actor/0"], ["actor/0"], ["actor/0", "actor/1"]]


def test_a_slow_start_is_not_taken_for_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "monotonic", Clock(0.5))
    ours = collector(fragment(0, 0), *[None] * 30, fragment(1, 0))
    assert senders(ours.collect(0)) == ["actor/0", "actor/1"]


def test_who_is_waited_for_is_told_about_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "monotonic", Clock(0.5))
    told: list[tuple[str, float]] = []
    ours = collector(fragment(0, 0), *[None] * 20, fragment(1, 0))
    ours.collect(0, lambda names, seconds: told.append((names, seconds)))
    assert {names for names, _ in told} == {"actor/1"} and len(told) > 5
    assert told[0][1] < 3
