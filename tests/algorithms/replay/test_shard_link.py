"""A learner's link to a shard: what it makes of answers that are read late, and of a shard that was killed."""

from typing import cast

from surreal.algorithms.replay.shard_link import ShardLink
from surreal.protocol.service.client import ServiceClient
from surreal.protocol.wire.packet import Message


def link() -> ShardLink:
    return ShardLink("replay/0", cast(ServiceClient, None))


def answer(steps: int, samples: int = 0, incarnation: int = 1) -> Message:
    meta = {"steps": steps, "samples": samples, "items": steps, "mass": float(steps), "ready": True}
    return Message("replay/0", incarnation, 0, (0, 0), meta, {})


def test_an_answer_that_is_read_after_a_newer_one_changes_nothing() -> None:
    made = link()
    for steps in (100, 116, 100, 116, 108):
        made.heard(answer(steps))
    assert (made.steps, made.items) == (116, 116)
    made.heard(answer(116, samples=64))
    made.heard(answer(116, samples=32))
    assert made.samples == 64


def test_steps_that_a_killed_shard_forgot_stay_counted() -> None:
    made = link()
    made.heard(answer(100))
    made.heard(answer(60, incarnation=2))
    assert (made.steps, made.items) == (100, 60)
    made.heard(answer(100))  # asked for before its death
    made.heard(answer(75, incarnation=2))
    assert (made.steps, made.items) == (115, 75)
    made.heard(answer(0, incarnation=3))
    made.heard(answer(10, incarnation=3))
    assert made.steps == 125


def test_a_snapshot_that_knows_more_than_was_heard_counts() -> None:
    made = link()
    made.heard(answer(100))
    made.heard(answer(130, incarnation=2))
    assert made.steps == 130


def test_the_steps_of_the_first_answer_are_kept() -> None:
    made = link()
    assert made.first == 0
    for steps in (40, 50):
        made.heard(answer(steps))
    made.heard(answer(0, incarnation=2))
    assert made.first == 40


def test_an_answer_brings_a_shard_back_that_was_away() -> None:
    made = link()
    made.heard(answer(100))
    made.missed()
    assert made.away and not made.weight
    made.heard(answer(100))
    assert not made.away and made.weight == 100
