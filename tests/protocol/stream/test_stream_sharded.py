"""A stream with several receivers: each message at one of them, once, and in order for each."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from surreal.protocol.errors import Stopping, Timeout
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sharded import ShardedSender
from surreal.protocol.transport.node import Node

MakeNode = Callable[..., Node]
Until = Callable[..., None]


@pytest.fixture
def addresses(folder: Path) -> list[str]:
    return [f"ipc://{folder}/replay-{i}" for i in range(3)]


@pytest.fixture
def receivers(make_node: MakeNode, addresses: list[str]) -> list[StreamReceiver]:
    return [StreamReceiver(make_node(f"replay/{i}"), address, window=4) for i, address in enumerate(addresses)]


def drain(receivers: list[StreamReceiver], count: int) -> list[list[int]]:
    """The numbers of the messages at each receiver, as soon as there are `count` in all."""
    found: list[list[int]] = [[] for _ in receivers]
    while sum(map(len, found)) < count:
        for receiver, numbers in zip(receivers, found, strict=True):
            while (message := receiver.recv(timeout=0.01)) is not None:
                numbers.append(message.meta["i"])
    return found


def test_messages_are_shared_out_evenly_and_each_arrives_once(
    receivers: list[StreamReceiver], make_node: MakeNode, addresses: list[str]
) -> None:
    sender = ShardedSender(make_node("actor/0"), addresses, window=4)
    for i in range(12):
        sender.send({"a": np.zeros(3000)}, {"i": i}, timeout=0)
    found = drain(receivers, 12)
    assert sorted(sum(found, [])) == list(range(12))
    assert [len(each) for each in found] == [4, 4, 4]
    assert all(each == sorted(each) for each in found)
    assert sender.flush(120)
    assert (sender.acknowledged, sender.stats.messages, sender.stats.depth) == (12, 12, 0)


def test_a_shard_can_be_named(receivers: list[StreamReceiver], make_node: MakeNode, addresses: list[str]) -> None:
    sender = ShardedSender(make_node("actor/0"), addresses, window=4)
    for i in range(4):
        sender.send({}, {"i": i}, shard=2)
    assert drain(receivers, 4) == [[], [], [0, 1, 2, 3]]


def test_only_when_all_shards_are_full_the_sender_waits(
    receivers: list[StreamReceiver], make_node: MakeNode, addresses: list[str]
) -> None:
    node = make_node("actor/0")
    sender = ShardedSender(node, addresses, window=4)
    for i in range(12):
        sender.send({}, {"i": i}, timeout=0)
    with pytest.raises(Timeout, match="no room at any of 3 within"):
        sender.send({}, timeout=0.05)
    assert sender.stats.blocked_seconds > 0
    assert receivers[1].recv(timeout=120) is not None
    assert sender.send({}, {"i": 12}, timeout=120)
    node.stop("enough")
    with pytest.raises(Stopping, match="enough"):
        sender.send({})


def test_a_lossy_one_drops_and_counts_once(
    receivers: list[StreamReceiver], make_node: MakeNode, addresses: list[str]
) -> None:
    sender = ShardedSender(make_node("actor/0"), addresses, window=1, lossy=True)
    assert [sender.send({}) for _ in range(5)] == [True] * 3 + [False] * 2
    assert (sender.stats.messages, sender.stats.dropped) == (3, 2)


def test_while_a_shard_is_away_the_others_get_the_rest_and_it_gets_its_own_later(
    start: Callable[..., subprocess.Popen[str]], make_node: MakeNode, folder: Path, until: Until
) -> None:
    addresses = [f"ipc://{folder}/a", f"ipc://{folder}/b"]
    sender = ShardedSender(make_node("actor/0"), addresses, window=4)
    staying = StreamReceiver(make_node("replay/1"), addresses[1], window=4)
    dying = start("stream_receiver", addresses[0], 1, folder / "first")
    sender.send({}, {"i": 0}, shard=0)
    assert sender.flush(120)
    dying.kill()
    dying.wait()
    for i in range(1, 5):
        sender.send({}, {"i": i}, shard=0)
    found = []
    for i in range(5, 30):
        sender.send({}, {"i": i}, timeout=120)
        message = staying.recv(timeout=120)
        assert message is not None
        found.append(message.meta["i"])
    assert found == list(range(5, 30))
    start("stream_receiver", addresses[0], 2, folder / "second")
    until(lambda: (folder / "second").exists() and len((folder / "second").read_text().split()) == 4, "the other four")
    assert sender.flush(120)
