"""Batches at a receiver: each message is handed over, counted and acknowledged as if it had come alone."""

import math
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest

from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import PacketSocket
from surreal.protocol.wire.batches import encode_batch
from surreal.protocol.wire.codec import encode_body
from surreal.protocol.wire.packet import Kind

MakeNode = Callable[..., Node]


@pytest.fixture
def sender(make_node: MakeNode, address: str) -> Iterator[PacketSocket]:
    """A sending end that sends what a test says."""
    with_answers = PacketSocket(make_node("actor/0"), address, binds=False, queue=64)
    yield with_answers
    with_answers.close()


@pytest.fixture
def receiver(make_node: MakeNode, address: str) -> Iterator[StreamReceiver]:
    """A receiver that acknowledges after 16 messages, when it has nothing to do, and when it is closed."""
    opened = StreamReceiver(make_node("learner/0"), address, window=64, finite=True)
    yield opened
    opened.close()


def batch(first: int, *values: float) -> bytes:
    """Messages with one number each, the first of which is message `first`."""
    return encode_batch(0, 7, first, 0, [encode_body("actor/0", 1, arrays={"x": np.array(v)}).body for v in values])


def read(receiver: StreamReceiver, count: int) -> list[tuple[int, float]]:
    """The numbers and values of the next messages, which must come."""
    messages = [receiver.recv(timeout=60) for _ in range(count)]
    return [(message.seq, float(message.arrays["x"])) for message in messages if message]


def answer(sender: PacketSocket) -> tuple[int, int]:
    """Kind and number of what the receiver says."""
    received = sender.receive(60)
    assert received
    return received[1].kind, received[1].seq


def test_messages_of_a_batch_that_are_there_already_are_dropped_and_the_others_handed_over(
    receiver: StreamReceiver, sender: PacketSocket
) -> None:
    for first, values in (0, (0, 1, 2)), (1, (1, 2, 3, 4)), (0, (0, 1)), (5, (5,)):
        assert sender.send(batch(first, *values))
    assert read(receiver, 6) == [(i, i) for i in range(6)]
    assert receiver.stats.duplicates == 4
    assert receiver.stats.messages == 6 and receiver.stats.bytes == 6 * 8


def test_a_batch_with_a_gap_before_it_is_reported_as_lost(receiver: StreamReceiver, sender: PacketSocket) -> None:
    assert sender.send(batch(0, 0, 1)) and sender.send(batch(3, 3, 4))
    assert read(receiver, 2) == [(0, 0), (1, 1)]
    said, deadline = set(), time.monotonic() + 60
    while (Kind.LOST, 2) not in said and time.monotonic() < deadline:
        assert receiver.recv(timeout=0.05) is None, "a message after a gap was handed over"
        if received := sender.receive(0):
            said.add((received[1].kind, received[1].seq))
    assert (Kind.LOST, 2) in said


def test_bytes_are_counted_with_the_messages_that_the_program_was_handed(
    receiver: StreamReceiver, sender: PacketSocket
) -> None:
    assert sender.send(batch(0, *range(10)))
    for count in range(1, 11):
        read(receiver, 1)
        assert (receiver.stats.messages, receiver.stats.bytes) == (count, 8 * count)


def test_bytes_of_a_large_message_that_is_refused_are_never_counted(
    receiver: StreamReceiver, sender: PacketSocket
) -> None:
    arrays = np.zeros(10), np.full(1000, math.nan), np.zeros(1)
    assert sender.send(encode_batch(0, 7, 0, 0, [encode_body("actor/0", 1, arrays={"x": x}).body for x in arrays]))
    for expected in 80, 88:
        while receiver.recv(timeout=60) is None:
            pass
        assert receiver.stats.bytes == expected


def test_what_the_program_was_not_handed_is_not_acknowledged(receiver: StreamReceiver, sender: PacketSocket) -> None:
    assert sender.send(batch(0, *range(10)))
    assert read(receiver, 3) == [(i, i) for i in range(3)]
    receiver.close()
    said = [answer(sender)]
    while said[-1] != (Kind.ACK, 3):
        said.append(answer(sender))
    assert all(earlier < later for earlier, later in pairwise(said))


def test_a_quarter_of_a_window_is_acknowledged_in_the_middle_of_a_batch(
    receiver: StreamReceiver, sender: PacketSocket
) -> None:
    assert sender.send(batch(0, *range(20)))
    read(receiver, 16)
    while (said := answer(sender)) != (Kind.ACK, 16):
        assert said[0] == Kind.ACK and said[1] < 16


def test_one_message_of_a_batch_that_is_not_finite_is_refused(receiver: StreamReceiver, sender: PacketSocket) -> None:
    assert sender.send(batch(0, 0, np.nan, 2))
    assert read(receiver, 2) == [(0, 0), (2, 2)]
    assert receiver.stats.refused == 1 and receiver.stats.messages == 2


def test_its_sender_counts_as_heard_until_the_last_message_was_handed_over(
    receiver: StreamReceiver, sender: PacketSocket
) -> None:
    assert sender.send(batch(0, 0, 1, 2))
    read(receiver, 2)
    holder = receiver._names.holders["actor/0"]
    holder.heard = began = holder.heard - 100  # the program takes its time
    read(receiver, 1)
    assert holder.heard > began + 50


def test_a_counter_of_bytes_never_falls_and_leaves_out_what_was_refused(
    receiver: StreamReceiver, sender: PacketSocket
) -> None:
    assert sender.send(batch(0, 0, 1, math.nan, 3))
    counted = []
    for _ in range(3):
        assert receiver.recv(timeout=60)
        counted.append(receiver.stats.bytes)
    assert counted == sorted(counted) and counted[-1] == 3 * 8
    assert receiver.stats.messages == 3 and receiver.stats.refused == 1
