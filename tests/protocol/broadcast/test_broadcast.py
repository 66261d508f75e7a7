"""Broadcast: the newest value at once, never back, whatever the publisher's working thread does."""

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from surreal.protocol.broadcast import subscriber as follower
from surreal.protocol.broadcast.publisher import Publisher
from surreal.protocol.broadcast.subscriber import Subscriber
from surreal.protocol.errors import Stopping, SurrealError, Timeout
from surreal.protocol.transport.node import Node

MakeNode = Callable[..., Node]
Start = Callable[..., subprocess.Popen[str]]
Until = Callable[..., None]


def value(number: float) -> dict[str, np.ndarray]:
    """A large array, a small one and an empty one."""
    return {"big": np.full(50_000, number), "small": np.array(number), "none": np.zeros(0)}


def test_a_reader_gets_each_value_it_waits_for_and_a_late_one_the_newest_at_once(
    make_node: MakeNode, address: str
) -> None:
    publisher = Publisher(make_node("learner/0", 3), address)
    early = Subscriber(make_node("actor/0"), address)
    assert early.latest() is None
    for version in range(20):
        publisher.publish(value(version), {"steps": version}, version)
        message = early.wait(newer_than=(3, version - 1), timeout=120)
        assert message.version == (3, version) and message.meta == {"steps": version}
        assert (message.arrays["big"] == version).all() and message.arrays["small"] == version
        assert not message.arrays["big"].flags.writeable
        assert early.latest() is message
    late = Subscriber(make_node("actor/1"), address)
    assert late.wait(timeout=120).version == (3, 19)


def test_a_reader_that_is_behind_skips_what_it_missed(make_node: MakeNode, address: str, until: Until) -> None:
    publisher = Publisher(make_node("learner/0"), address)
    subscriber = Subscriber(make_node("actor/0"), address)
    seen = []
    for version in range(300):
        publisher.publish(value(version), {}, version)
        if (newest := subscriber.latest()) is not None:
            seen.append(newest.version)
    assert subscriber.wait(newer_than=(1, 298), timeout=120).version == (1, 299)
    assert seen == sorted(seen)
    until(lambda: subscriber.stats.messages == publisher.stats.messages, "the counters to agree")
    assert subscriber.stats.messages <= 300


def test_a_wait_is_counted_while_it_lasts(make_node: MakeNode, address: str, until: Until) -> None:
    subscriber = Subscriber(make_node("actor/0"), address)
    waiting = threading.Thread(target=lambda: subscriber.wait(timeout=120))
    waiting.start()
    until(lambda: subscriber.stats.blocked_seconds > 0, "the wait to be counted")
    assert waiting.is_alive()
    Publisher(make_node("learner/0"), address).publish({}, {}, 1)
    waiting.join(120)
    assert not waiting.is_alive()


def test_a_version_must_grow(make_node: MakeNode, address: str) -> None:
    publisher = Publisher(make_node("learner/0"), address)
    publisher.publish({}, {}, 5)
    with pytest.raises(ValueError, match="version 5 does not grow, 5 is published"):
        publisher.publish({}, {}, 5)


def test_a_negative_number_is_no_version(make_node: MakeNode, address: str) -> None:
    with pytest.raises(ValueError, match=r"-1\) is no version"):
        Publisher(make_node("learner/0"), address).publish({}, {}, -1)


def test_waiting_ends_at_the_deadline_and_when_the_process_stops(make_node: MakeNode, address: str) -> None:
    node = make_node("actor/0")
    subscriber = Subscriber(node, address)
    with pytest.raises(Timeout, match="nothing newer than None"):
        subscriber.wait(timeout=0.05)
    node.stop("enough")
    with pytest.raises(Stopping, match="enough"):
        subscriber.wait()


def successor(node: Node, address: str) -> Publisher:
    """A publisher on an address that was in use a moment ago: ZeroMQ closes a listener in a thread of its own."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return Publisher(node, address)
        except SurrealError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def test_an_older_publisher_is_fenced_and_a_newer_one_followed(
    make_node: MakeNode, address: str, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    monkeypatch.setattr(follower, "ASK_INTERVAL_S", 0.1)
    subscriber = Subscriber(make_node("actor/0"), address)
    second = Publisher(make_node("learner/0", 2), address)
    second.publish(value(2), {}, 7)
    assert subscriber.wait(timeout=120).version == (2, 7)
    second.close()
    first = successor(make_node("learner/0", 1), address)
    first.publish(value(1), {}, 900)
    until(lambda: first.stats.refused, "the old publisher to hear from the reader")
    assert first.stats.messages == 0
    newest = subscriber.latest()
    assert newest is not None and newest.version == (2, 7)
    first.close()
    third = successor(make_node("learner/0", 3), address)
    third.publish(value(3), {}, 0)
    assert subscriber.wait(newer_than=(2, 7), timeout=120).version == (3, 0)


def test_a_publisher_that_computes_serves_late_readers_and_a_killed_one_is_replaced(
    start: Start, make_node: MakeNode, folder: Path, address: str
) -> None:
    control = f"ipc://{folder}/control"
    reader = Subscriber(make_node("actor/0"), address)
    for incarnation in (1, 2):
        learner = start("busy_learner", address, control, incarnation, folder / "never")
        assert learner.stdout and learner.stdout.readline() == "busy\n"
        late = Subscriber(make_node(f"late/{incarnation}"), address)
        for subscriber in (reader, late):
            message = subscriber.wait(newer_than=(incarnation - 1, 9), timeout=120)
            assert message.version == (incarnation, 1)
            assert (message.arrays["weights"] == 7).all()
        assert learner.poll() is None
        learner.kill()
        learner.wait()
