"""Packet sockets: a queue takes a packet as soon as there is room, and a wait ends with what it waits for."""

import signal
import time
from collections.abc import Callable

from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import PacketSocket
from surreal.protocol.wire.codec import encode_body, encode_prefix
from surreal.protocol.wire.packet import Kind

HEADER = encode_prefix(Kind.DATA, 0, 1, 0, 0) + encode_body("actor/0", 1).body


def ends(make_node: Callable[..., Node], address: str) -> tuple[PacketSocket, PacketSocket]:
    """A bound and a connected socket, each with room for four packets."""
    bound = PacketSocket(make_node("learner/0"), address, binds=True, queue=4)
    return bound, PacketSocket(make_node("actor/0"), address, binds=False, queue=4)


def test_a_queue_whose_packets_were_read_takes_the_next_one_at_once(
    make_node: Callable[..., Node], address: str
) -> None:
    # findings/zmq-send-refused-by-empty-queue.sh: libzmq alone refuses every twentieth
    bound, connected = ends(make_node, address)
    for _ in range(300):
        assert connected.send(HEADER)
        received = bound.receive(60)
        assert received and bound.send(HEADER, route=received[0])
        assert connected.receive(60)
    bound.close()
    connected.close()


def test_a_wait_returns_the_packet_or_none_at_its_time(make_node: Callable[..., Node], address: str) -> None:
    bound, connected = ends(make_node, address)
    assert connected.send(HEADER)
    assert bound.receive(60)
    began = time.monotonic()
    for seconds in 0.05, 0.02, 0.0, -1.0:
        assert bound.receive(seconds) is None
    assert time.monotonic() - began >= 0.07
    bound.close()
    connected.close()


def test_a_timer_that_fires_often_does_not_make_a_wait_endless(make_node: Callable[..., Node], address: str) -> None:
    bound, connected = ends(make_node, address)
    fired: list[int] = []

    def fire(*_: object) -> None:
        fired.append(1)
        if len(fired) == 500:
            signal.setitimer(signal.ITIMER_REAL, 0)

    before = signal.signal(signal.SIGALRM, fire)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    assert bound.receive(0.1) is None
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    # A wait that begins anew with each signal ends with the timer alone.
    assert 0 < len(fired) < 500
    bound.close()
    connected.close()
