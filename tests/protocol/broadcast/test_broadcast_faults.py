"""Broadcasts among readers that sleep, lie or talk nonsense, and publishers and relays that die."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psutil
import pytest
import zmq

from surreal.protocol.broadcast import subscriber as follower
from surreal.protocol.broadcast.publisher import QUEUE_PACKETS, Publisher
from surreal.protocol.broadcast.relay import Relay
from surreal.protocol.broadcast.subscriber import Subscriber
from surreal.protocol.transport.node import Node
from surreal.protocol.wire.codec import decode, encode_body, encode_prefix
from surreal.protocol.wire.packet import Kind, Version

MakeNode = Callable[..., Node]
Start = Callable[..., "subprocess.Popen[str]"]
Until = Callable[..., None]
Bare = Callable[[int], "zmq.Socket[bytes]"]


def weights(number: float, size: int = 100_000) -> dict[str, np.ndarray]:
    return {"weights": np.full(size // 4, number, np.float32)}


def question(number: int, have: Version | None = None) -> bytes:
    """The bytes of one GET."""
    return encode_prefix(Kind.GET, 0, 77, number, int(have is not None)) + encode_body("odd/0", 1, have or (0, 0)).body


@pytest.fixture
def bare() -> Iterator[Callable[[int], zmq.Socket[bytes]]]:
    """Makes bare sockets that can say anything."""
    with zmq.Context() as context, ExitStack() as stack:

        def bare(kind: int) -> zmq.Socket[bytes]:
            socket = stack.enter_context(context.socket(kind))
            socket.linger = 0
            return socket

        yield bare


def test_a_stopped_reader_costs_the_others_nothing_and_later_has_the_newest(
    start: Start, make_node: MakeNode, address: str
) -> None:
    publisher = Publisher(make_node("learner/0"), address)
    stopped = start("reader", address, "actor/1")
    publisher.publish(weights(0), {}, 0)
    assert stopped.stdout and stopped.stdout.readline() == "1 0 0\n"
    stopped.send_signal(signal.SIGSTOP)
    reader = Subscriber(make_node("actor/0"), address)
    reader.wait(timeout=120)
    before = psutil.Process().memory_info().rss
    for version in range(1, 201):
        publisher.publish(weights(version, 2**20), {}, version)
        assert reader.wait(newer_than=(1, version - 1), timeout=120).version == (1, version)
    assert psutil.Process().memory_info().rss - before < 64 * 2**20, "no more than a few of 200 values are held for it"
    stopped.send_signal(signal.SIGCONT)
    seen = [stopped.stdout.readline()]
    while seen[-1] != "1 200 200\n":
        seen.append(stopped.stdout.readline())
    assert len(seen) <= 3, "what it slept through is skipped"


def test_readers_behind_a_relay_survive_the_death_of_the_publisher_and_follow_its_successor(
    start: Start, make_node: MakeNode, folder: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "ASK_INTERVAL_S", 0.1)
    Relay(make_node("weights-relay/0"), address, f"ipc://{folder}/relay")
    reader = Subscriber(make_node("actor/0"), f"ipc://{folder}/relay")
    newest: Version | None = None
    for incarnation in (1, 2):
        publisher = start_publisher(start, address, incarnation)
        for version in range(5):
            publish(publisher, version)
            message = reader.wait(newest, timeout=120)
            assert message.version == (incarnation, version)
            assert (message.arrays["weights"] == version).all()
            newest = message.version
        publisher.kill()
        publisher.wait()
        late = Subscriber(make_node(f"late/{incarnation}"), f"ipc://{folder}/relay")
        assert late.wait(timeout=120).version == newest, "the relay has it while nobody publishes"


def test_a_killed_relay_that_comes_back_serves_its_readers_again_and_nobody_goes_back(
    start: Start, make_node: MakeNode, folder: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "ASK_INTERVAL_S", 0.1)
    publisher = Publisher(make_node("learner/0"), f"ipc://{folder}/learner")
    readers = [Subscriber(make_node(f"actor/{i}"), address) for i in range(3)]
    version = 0
    for incarnation in (1, 2):
        relay = start("relay", f"ipc://{folder}/learner", address, incarnation)
        for _ in range(5):
            version += 1
            publisher.publish(weights(version), {}, version)
            for reader in readers:
                assert reader.wait(newer_than=(1, version - 1), timeout=120).version == (1, version)
        relay.kill()
        relay.wait()
    assert all(reader.stats.refused == 0 for reader in readers)


def start_publisher(start: Start, address: str, incarnation: int) -> "subprocess.Popen[str]":
    return start("publisher", address, incarnation, 100_000)


def publish(publisher: "subprocess.Popen[str]", version: int) -> None:
    """Have a publishing process publish its next version."""
    assert publisher.stdin and publisher.stdout
    publisher.stdin.write("\n")
    publisher.stdin.flush()
    assert publisher.stdout.readline() == f"{version}\n"


def test_a_reader_that_asks_for_the_future_gets_nothing_and_the_others_what_they_want(
    make_node: MakeNode, bare: Bare, address: str, until: Until
) -> None:
    publisher = Publisher(make_node("learner/0"), address)
    publisher.publish(weights(1), {}, 1)
    odd = bare(zmq.DEALER)
    odd.connect(address)
    odd.send(question(0, (1, 50)))
    reader = Subscriber(make_node("actor/0"), address)
    for version in range(2, 52):
        publisher.publish(weights(version), {}, version)
        assert reader.wait((1, version - 1), timeout=120).version == (1, version)
    packet = decode([frame.buffer for frame in odd.recv_multipart(copy=False)])
    assert packet.version == (1, 51) and packet.seq == 0, "the first that is newer than what it said to have"
    odd.send(question(1, (7, 0)))
    until(lambda: publisher.stats.refused == 1, "the publisher to hear of an incarnation after its own")
    assert odd.poll(50) == 0


def test_a_reader_that_asks_and_never_reads_is_held_a_few_values_at_most(
    make_node: MakeNode, bare: Bare, address: str, until: Until
) -> None:
    publisher = Publisher(make_node("learner/0"), address)
    publisher.publish(weights(0, 2**20), {}, 0)
    greedy = bare(zmq.DEALER)
    greedy.sndhwm, greedy.rcvhwm = 0, 1
    greedy.connect(address)
    before = psutil.Process().memory_info().rss
    for number in range(5000):
        greedy.send(question(number))
    reader = Subscriber(make_node("actor/0"), address)
    assert reader.wait(timeout=120).version == (1, 0)
    for version in range(1, 50):
        publisher.publish(weights(version, 2**20), {}, version)
        assert reader.wait((1, version - 1), timeout=120).version == (1, version)
    # libzmq's queues at both ends and the kernel's buffers; 5000 answers would be 5 GB
    assert psutil.Process().memory_info().rss - before < (4 * QUEUE_PACKETS + 64) * 2**20


GARBAGE = [
    [b""],
    [b"SR"],
    [b"nonsense"],
    [b"SR\x02\x06" + bytes(500)],
    [question(0)[:-1]],
    [question(0), b"a frame too many"],
    [encode_prefix(Kind.VALUE, 0, 1, 0, 0) + encode_body("odd/0", 1, (1, 9), {}, weights(9, 100)).body],
    [encode_prefix(Kind.DATA, 0, 1, 0, 0) + encode_body("odd/0", 1).body],
]


@pytest.mark.parametrize("behind_a_relay", [False, True])
def test_garbage_at_the_serving_side_is_counted_and_good_readers_go_on(
    make_node: MakeNode, bare: Bare, folder: Path, address: str, until: Until, behind_a_relay: bool
) -> None:
    upstream = f"ipc://{folder}/learner" if behind_a_relay else address
    publisher = Publisher(make_node("learner/0"), upstream)
    serving = Relay(make_node("weights-relay/0"), upstream, address) if behind_a_relay else publisher
    reader = Subscriber(make_node("actor/0"), address)
    for version, garbage in enumerate(GARBAGE):
        odd = bare(zmq.DEALER)
        odd.connect(address)
        odd.send_multipart(garbage)
        until(lambda version=version: serving.stats.refused == version + 1, "garbage to be counted")
        publisher.publish(weights(version), {}, version)
        assert reader.wait((1, version - 1) if version else None, timeout=120).version == (1, version)


@pytest.mark.parametrize("behind_a_relay", [False, True])
def test_garbage_from_the_serving_side_is_counted_and_a_good_value_still_taken(
    make_node: MakeNode, bare: Bare, folder: Path, address: str, until: Until, behind_a_relay: bool
) -> None:
    fake = bare(zmq.ROUTER)
    fake.bind(address)
    at = f"ipc://{folder}/relay" if behind_a_relay else address
    relay = Relay(make_node("weights-relay/0"), address, at) if behind_a_relay else None
    reader = Subscriber(make_node("actor/0"), at)
    route, asked = fake.recv_multipart()
    head = decode([asked])
    encoded = encode_body("learner/0", 1, (1, 1), {}, weights(1))
    array = encoded.frames[0].data
    header = encode_prefix(Kind.VALUE, 0, head.session, head.seq, 0) + encoded.body
    for bad in ([b"x"], [header], [header, b"short"], [header, array, b"more"], [header[:-3], b"y"]):
        fake.send_multipart([route, *bad])
    fake.send_multipart([route, header, array])
    message = reader.wait(timeout=120)
    assert message.version == (1, 1) and (message.arrays["weights"] == 1).all()
    if relay is None:
        assert reader.stats.refused == 5
    else:
        until(lambda: relay.stats.messages == 1, "the counter")
        assert reader.stats.refused == 0, "a relay passes on only what it could read"


def test_a_relay_that_is_there_before_its_publisher_serves_once_there_is_something(
    make_node: MakeNode, folder: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "ASK_INTERVAL_S", 0.1)
    Relay(make_node("weights-relay/0"), address, f"ipc://{folder}/relay")
    reader = Subscriber(make_node("actor/0"), f"ipc://{folder}/relay")
    assert reader.latest() is None
    publisher = Publisher(make_node("learner/0"), address)
    publisher.publish(weights(3), {}, 3)
    assert reader.wait(timeout=120).version == (1, 3)


def test_a_relay_of_relays_passes_on_the_same(make_node: MakeNode, folder: Path, address: str) -> None:
    publisher = Publisher(make_node("learner/0"), address)
    Relay(make_node("weights-relay/0"), address, f"ipc://{folder}/first")
    Relay(make_node("weights-relay/1"), f"ipc://{folder}/first", f"ipc://{folder}/second")
    reader = Subscriber(make_node("actor/0"), f"ipc://{folder}/second")
    for version in range(10):
        publisher.publish(weights(version), {"version": version}, version)
        message = reader.wait((1, version - 1) if version else None, timeout=120)
        assert message.version == (1, version) and message.meta == {"version": version}
        assert (message.arrays["weights"] == version).all()


def test_publishing_while_readers_come_and_go_reaches_those_who_stay(make_node: MakeNode, address: str) -> None:
    publisher = Publisher(make_node("learner/0"), address)
    stays = Subscriber(make_node("actor/0"), address)
    node = make_node("actor/1")
    for version in range(60):
        passing = Subscriber(node, address)
        publisher.publish(weights(version, 20_000), {}, version)
        assert stays.wait((1, version - 1) if version else None, timeout=120).version == (1, version)
        passing.close()


def test_readers_that_are_silent_are_forgotten(
    make_node: MakeNode, bare: Bare, address: str, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead_after = "surreal.protocol.broadcast.publisher.DEAD_AFTER_S"
    monkeypatch.setattr(dead_after, 0.05)  # how often it looks
    publisher = Publisher(make_node("learner/0"), address)
    monkeypatch.setattr(dead_after, 1000.0)
    socket = bare(zmq.DEALER)
    socket.connect(address)
    socket.send(question(0))
    until(lambda: publisher.stats.depth == 1, "the question")
    monkeypatch.setattr(dead_after, 0.0)
    until(lambda: publisher.stats.depth == 0, "the reader to be forgotten")
    monkeypatch.setattr(dead_after, 1000.0)
    socket.send(question(0))
    until(lambda: publisher.stats.depth == 1, "the question of one that was forgotten")
