"""What a bad peer can do to a port: nothing but be counted, and then cut."""

import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import Popen

import numpy as np
import psutil
import pytest
import zmq

from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.authorization import Access
from surreal.protocol.transport.curve_keys import Keys, make_key_files, write_key_files
from surreal.protocol.transport.node import Node
from surreal.protocol.wire.codec import encode_body, encode_prefix
from surreal.protocol.wire.limits import MAX_COUNT, MAX_FRAMES
from surreal.protocol.wire.packet import Kind
from tests.protocol import zmtp

MIB = 2**20
linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel counts a connection's bytes on Linux only")
MakeNode = Callable[..., Node]
Until = Callable[..., None]


@pytest.fixture
def receiver(make_node: MakeNode, address: str) -> Iterator[StreamReceiver]:
    made = StreamReceiver(make_node("learner/0"), address, 8)
    yield made
    made.close()


@pytest.fixture
def good(make_node: MakeNode, address: str, receiver: StreamReceiver) -> Iterator[StreamSender]:
    """A sender that behaves, beside the one that does not."""
    made = StreamSender(make_node("actor/0"), address, 8)
    yield made
    made.close()


def check_service(good: StreamSender, receiver: StreamReceiver) -> None:
    """A message of the good sender still arrives."""
    good.send({"x": np.arange(3)})
    message = receiver.recv(120)
    assert message and message.sender == "actor/0"
    receiver.recv(0)  # nobody else is there; the sender hears that its message has arrived


def header(kind: int = Kind.DATA, seq: int = 0, base: int = 0, arrays: dict[str, np.ndarray] | None = None) -> bytes:
    encoded = encode_body("actor/9", 1, arrays=arrays or {})
    return (
        encode_prefix(Kind.DATA, 0, 7, 0, 0)[:3] + bytes([kind]) + struct.pack("<IQQQ", 0, 7, seq, base) + encoded.body
    )


def packet(*frames: bytes) -> bytes:
    """The frames of one packet on the wire."""
    return b"".join(zmtp.frame(each, zmtp.MORE) for each in frames[:-1]) + zmtp.frame(frames[-1])


LARGE = header(arrays={"x": np.zeros(10_000)})
WHOLE = header()
MALFORMED = {
    "garbage": packet(b"garbage"),
    "nothing": packet(b""),
    "a truncated header": packet(WHOLE[:-1]),
    "a header that ends in the prefix": packet(WHOLE[:20]),
    "a header that is too long": packet(WHOLE + bytes(65_536)),
    "too many frames": packet(WHOLE, *[b"x"] * MAX_FRAMES),
    "an array's frame too few": packet(LARGE),
    "an array's frame too many": packet(LARGE, bytes(80_000), bytes(80_000)),
    "an array that is too short": packet(LARGE, bytes(79_999)),
    "an array that is too long": packet(LARGE, bytes(80_001)),
    "a dtype that is none": packet(LARGE.replace(b"<f8", b"<O8"), bytes(80_000)),
    "a negative seq": packet(header(seq=2**64 - 1)),
    "a wrapped seq": packet(header(seq=MAX_COUNT + 1)),
    "a wrapped base": packet(header(base=MAX_COUNT + 1)),
    "a kind that is none": packet(header(kind=99)),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_ten_malformed_packets_are_counted_and_end_their_connection(
    what: str, address: str, receiver: StreamReceiver, good: StreamSender
) -> None:
    with zmtp.join(address) as bad:
        bad.sendall(MALFORMED[what] * 10)
        while receiver.stats.refused < 11:  # ten packets and the cut
            assert receiver.recv(0.01) is None
        assert zmtp.is_cut(bad)
    check_service(good, receiver)


def test_fewer_are_counted_and_forgiven(address: str, receiver: StreamReceiver, until: Until) -> None:
    with zmtp.join(address) as bad:
        bad.sendall(MALFORMED["garbage"] * 9 + packet(header()))
        message = receiver.recv(120)
        assert message and message.sender == "actor/9"
        assert receiver.stats.refused == 9


def test_a_kind_that_does_not_belong_is_refused_and_in_the_end_cut(
    address: str, receiver: StreamReceiver, good: StreamSender
) -> None:
    with zmtp.join(address) as bad:
        bad.sendall(packet(header(kind=Kind.GET)) * 100)
        while receiver.stats.refused < 101:
            assert receiver.recv(0.01) is None
        assert zmtp.is_cut(bad)
    check_service(good, receiver)


@pytest.mark.parametrize("data", [b"", b"\xff", zmtp.SIGNATURE, bytes(range(256)) * 40, b"GET / HTTP/1.1\r\n\r\n"])
def test_what_is_no_zmtp_never_arrives(data: bytes, address: str, receiver: StreamReceiver, good: StreamSender) -> None:
    with zmtp.connect(address) as bad:
        bad.sendall(data)
    check_service(good, receiver)


def test_half_a_message_costs_nothing(address: str, receiver: StreamReceiver, good: StreamSender) -> None:
    for _ in range(100):
        with zmtp.join(address) as bad:
            bad.sendall(zmtp.frame(LARGE, zmtp.MORE) + zmtp.frame(bytes(80_000))[:40_000])
    check_service(good, receiver)
    assert receiver.stats.refused == 0


def test_a_frame_that_claims_too_much_ends_its_connection(
    address: str, receiver: StreamReceiver, good: StreamSender
) -> None:
    for claim in (64 * MIB + 1, 2**40, 2**63 - 1, 2**64 - 1):
        with zmtp.join(address) as bad:
            bad.sendall(bytes([zmtp.LONG]) + struct.pack(">Q", claim))
            assert zmtp.is_cut(bad)
    check_service(good, receiver)


def test_a_thousand_silent_connections_leave_room_for_a_good_one(
    make_node: MakeNode, address: str, receiver: StreamReceiver
) -> None:
    silent: list[socket.socket] = []
    try:
        for _ in range(1000):
            silent.append(zmtp.connect(address))
        sender = StreamSender(make_node("actor/0"), address, 8)
        check_service(sender, receiver)
        sender.close()
    finally:
        for each in silent:
            each.close()


def test_good_traffic_goes_on_beside_a_peer_that_never_stops(
    address: str, receiver: StreamReceiver, good: StreamSender
) -> None:
    done = threading.Event()

    def vandalise() -> None:
        while not done.is_set():
            with suppress(ConnectionError), zmtp.join(address) as bad:
                bad.sendall(MALFORMED["garbage"] * 50)
                zmtp.is_cut(bad)

    def send() -> None:
        for i in range(500):
            good.send({"x": np.arange(3)}, {"i": i})

    threads = [threading.Thread(target=vandalise), threading.Thread(target=send)]
    for thread in threads:
        thread.start()
    try:
        received = [receiver.recv(120) for _ in range(500)]
        while receiver.stats.refused < 11:
            assert receiver.recv(0.01) is None
    finally:
        done.set()
        while any(thread.is_alive() for thread in threads):
            receiver.recv(0.01)
    assert [message and message.meta["i"] for message in received] == list(range(500))


@linux
def test_full_windows_of_large_messages_are_no_reason_to_cut(
    make_node: MakeNode, tcp_address: str, until: Until
) -> None:
    receiver = StreamReceiver(make_node("learner/0"), tcp_address, 64)
    sender = StreamSender(make_node("actor/0"), tcp_address, 64)
    large = np.zeros(4 * MIB, np.uint8)
    thread = threading.Thread(target=lambda: [sender.send({"x": large}) for _ in range(64)])
    thread.start()
    until(lambda: sender.stats.depth >= 8, "the window to be full")  # 32 MiB
    for i in range(64):
        message = receiver.recv(120)
        assert message and message.seq == i
    thread.join()
    assert (receiver.stats.refused, sender.stats.resent) == (0, 0)
    sender.close()
    receiver.close()


def flood(address: str) -> None:
    """Send frames of one message, 8 GiB of them or until the connection is cut."""
    with zmtp.join(address) as bad, pytest.raises(ConnectionError):
        for _ in range(8192):
            bad.sendall(zmtp.frame(bytes(MIB), zmtp.MORE))


@linux
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_an_endless_message_is_cut_and_its_memory_given_back(
    busy: bool, tcp_address: str, start: Callable[..., Popen[str]], folder: Path, until: Until
) -> None:
    child = start("bad_peer_victim", tcp_address, "", int(busy))
    victim = psutil.Process(child.pid)
    assert child.stdout and child.stdout.readline() == "ready\n"
    before = victim.memory_info().rss
    flood(tcp_address)
    until(lambda: victim.memory_info().rss < before + 64 * MIB, "the memory to be given back")
    assert victim.is_running()


@linux
def test_an_endless_message_under_a_valid_key_is_cut_too(
    tcp_address: str, start: Callable[..., Popen[str]], folder: Path, until: Until
) -> None:
    paths = write_key_files(make_key_files(["actor", "learner"]), folder)
    child = start("bad_peer_victim", tcp_address, paths["learner"], 0)
    victim, actor = psutil.Process(child.pid), Keys.read(paths["actor"])
    assert child.stdout and child.stdout.readline() == "ready\n"
    before = victim.memory_info().rss
    with zmq.Context() as context, context.socket(zmq.DEALER) as bad:
        bad.setsockopt(zmq.CURVE_SERVERKEY, actor.public["learner"])
        bad.setsockopt(zmq.CURVE_PUBLICKEY, actor.public["actor"])
        bad.setsockopt(zmq.CURVE_SECRETKEY, actor.secret)
        bad.setsockopt(zmq.LINGER, 0)
        bad.setsockopt(zmq.RECONNECT_IVL, -1)
        events = bad.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        bad.connect(tcp_address)
        frame = zmq.Frame(bytes(MIB))
        for _ in range(2000):
            bad.send(frame, zmq.SNDMORE, copy=False)
        bad.send(b"")
        assert events.poll(60_000)
        bad.disable_monitor()
        events.close()
    until(lambda: victim.memory_info().rss < before + 64 * MIB, "the memory to be given back")


@linux
def test_who_shows_no_key_may_send_no_more_than_a_handshake(make_node: MakeNode, tcp_address: str) -> None:
    keys = Keys.parse(make_key_files(["actor", "learner"])["learner"])
    with Node("learner/0", 1, keys, {tcp_address: Access("learner", frozenset({"actor"}))}) as node:
        receiver = StreamReceiver(node, tcp_address, 8)
        with zmtp.connect(tcp_address) as bad:
            bad.sendall(zmtp.greeting(b"CURVE") + b"\x06" + struct.pack(">Q", 32 * MIB) + bytes(16_384))
            assert zmtp.is_cut(bad)
        assert receiver.stats.refused == 1
        receiver.close()
