"""Replay: frames that somebody captured and sends again are never handed over twice."""

import contextlib
import socket
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.authorization import Access
from surreal.protocol.transport.curve_keys import Keys, make_key_files
from surreal.protocol.transport.node import Node
from tests.protocol.proxy import Proxy

MakeNode = Callable[..., Node]
Until = Callable[..., None]
MESSAGES = 6
GREETING = 64
"""Bytes of ZMTP's greeting."""


@pytest.fixture
def proxy(tcp_address: str) -> Iterator[Proxy]:
    proxy = Proxy(tcp_address)
    yield proxy
    proxy.close()


def exchange(receiver: StreamReceiver, node: Node, address: str) -> StreamSender:
    """Send some messages over `address`, all of which are handed over and acknowledged."""
    sender = StreamSender(node, address, window=MESSAGES)
    for i in range(MESSAGES):
        sender.send({"data": np.full(3000, i)}, {"i": i})
    seen = [receiver.recv(timeout=120) for _ in range(MESSAGES)]
    assert [message and message.seq for message in seen] == list(range(MESSAGES))
    assert receiver.recv(timeout=0.01) is None and sender.flush(120)
    return sender


def replay(data: bytes, address: str) -> socket.socket:
    """A new connection over which all that an earlier one sent is sent again, the handshake included."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    connected = socket.create_connection((host, int(port)))
    began = handshake(data)
    connected.sendall(data[:began])
    answered = 0
    while answered <= GREETING:  # libzmq wants the handshake to end before anything else comes
        answered += len(connected.recv(65536))
    connected.sendall(data[began:])
    return connected


def handshake(data: bytes) -> int:
    """Bytes of ZMTP's greeting and the command after it, which is all there is without keys."""
    return GREETING + 2 + data[GREETING + 1]


def take_all(receiver: StreamReceiver, done: Callable[[], object], until: Until) -> list[int]:
    """The numbers of what is handed over until `done()`."""
    numbers: list[int] = []

    def step() -> object:
        if message := receiver.recv(timeout=0.01):
            numbers.append(message.seq)
        return done()

    until(step, "the replayed packets")
    return numbers


def test_frames_replayed_in_the_same_connection_are_duplicates(
    make_node: MakeNode, tcp_address: str, proxy: Proxy, until: Until
) -> None:
    receiver = StreamReceiver(make_node("learner/0"), tcp_address, window=MESSAGES)
    sender = exchange(receiver, make_node("actor/0"), proxy.address)
    sent = bytes(proxy.recorded[0])
    proxy.inject(sent[handshake(sent) :])
    assert take_all(receiver, lambda: receiver.stats.duplicates >= MESSAGES, until) == []
    sender.send({}, {"more": True})
    message = receiver.recv(timeout=120)
    assert message and message.meta == {"more": True}


def test_frames_replayed_in_a_later_connection_are_duplicates(
    make_node: MakeNode, tcp_address: str, proxy: Proxy, until: Until
) -> None:
    receiver = StreamReceiver(make_node("learner/0"), tcp_address, window=MESSAGES)
    sender = exchange(receiver, make_node("actor/0"), proxy.address)
    with replay(bytes(proxy.recorded[0]), tcp_address):
        assert take_all(receiver, lambda: receiver.stats.duplicates >= MESSAGES, until) == []
    sender.send({}, {"more": True})
    message = receiver.recv(timeout=120)
    assert message and message.meta == {"more": True}


def test_frames_of_an_earlier_incarnation_of_the_sender_are_refused(
    make_node: MakeNode, tcp_address: str, proxy: Proxy, until: Until
) -> None:
    receiver = StreamReceiver(make_node("learner/0"), tcp_address, window=MESSAGES)
    exchange(receiver, make_node("actor/0", 1), proxy.address)
    exchange(receiver, make_node("actor/0", 2), tcp_address)
    with replay(bytes(proxy.recorded[0]), tcp_address):
        assert take_all(receiver, lambda: receiver.stats.refused > MESSAGES, until) == []


def test_with_keys_frames_replayed_to_a_restarted_receiver_do_not_get_through_the_handshake(
    make_keyed: Callable[[str, int], Node], tcp_address: str, proxy: Proxy, until: Until
) -> None:
    receiver = StreamReceiver(make_keyed("learner/0", 1), tcp_address, window=MESSAGES)
    exchange(receiver, make_keyed("actor/0", 1), proxy.address).close()
    receiver.close()
    restarted = bind_again(make_keyed("learner/0", 2), tcp_address, until)
    with replay(bytes(proxy.recorded[0]), tcp_address) as connected:
        connected.settimeout(0.01)
        assert take_all(restarted, lambda: is_closed(connected), until) == []
    assert restarted.stats.messages == 0


@pytest.fixture
def make_keyed(tcp_address: str, proxy: Proxy) -> Iterator[Callable[[str, int], Node]]:
    """Makes nodes with keys that may talk over the address and the proxy before it."""
    keys = {role: Keys.parse(text) for role, text in make_key_files(["actor", "learner"]).items()}
    table = dict.fromkeys([tcp_address, proxy.address], Access("learner", frozenset({"actor"})))
    with contextlib.ExitStack() as stack:
        yield lambda name, incarnation: stack.enter_context(
            Node(name, incarnation, keys[name.partition("/")[0]], table)
        )


def bind_again(node: Node, address: str, until: Until) -> StreamReceiver:
    """A receiver where another has just closed: libzmq frees the port a moment later."""
    bound: list[StreamReceiver] = []

    def bind() -> object:
        with contextlib.suppress(Exception):
            bound.append(StreamReceiver(node, address, window=MESSAGES))
        return bound

    until(bind, "the port to be free")
    return bound[0]


def is_closed(connected: socket.socket) -> bool:
    """Has the other end hung up?"""
    try:
        return not connected.recv(65536)
    except TimeoutError:
        return False
    except ConnectionError:
        return True
