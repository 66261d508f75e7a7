"""Versions: a peer of another protocol version is refused, both sides name both versions, nothing is half understood.

`recorded/protocol-N.json` has packets of each kind as the release with protocol N made them; a change of the wire
format adds a file and never edits one. Versions that do not exist yet are made up from today's packets.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from surreal.protocol.broadcast.publisher import Publisher
from surreal.protocol.broadcast.subscriber import Subscriber
from surreal.protocol.errors import Refused
from surreal.protocol.membership.member import Member
from surreal.protocol.membership.server import Server
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.node import Node
from surreal.protocol.wire.codec import decode, encode_body, encode_prefix
from surreal.protocol.wire.limits import PROTOCOL, ProtocolVersionError
from surreal.protocol.wire.packet import Kind

MakeNode = Callable[..., Node]
Until = Callable[..., None]
VERSION = 2
"""Offset of the version in a packet, in every version."""


def packets() -> Iterator[Any]:
    """(version, kind, packet) of the recorded releases and of the next two versions."""
    for path in sorted((Path(__file__).parent / "recorded").glob("protocol-*.json")):
        version = int(path.stem.rpartition("-")[2])
        for kind, packet in json.loads(path.read_text()).items():
            yield pytest.param(version, kind, bytes.fromhex(packet), id=f"{version} {kind}")
    today = encode_body("actor/0", 1, meta={"reason": "", "stop": True}).body
    for version in (PROTOCOL + 1, PROTOCOL + 2):
        for kind in (Kind.DATA, Kind.PROBE, Kind.ACK, Kind.GET, Kind.VALUE, Kind.BEAT, Kind.STATE):
            packet = encode_prefix(kind, 0, 7, 0, 0) + today
            changed = packet[:VERSION] + bytes([version]) + packet[VERSION + 1 :]
            yield pytest.param(version, kind.name, changed, id=f"{version} {kind.name}")


@pytest.mark.parametrize(("version", "kind", "packet"), list(packets()))
def test_no_packet_of_another_version_is_understood(version: int, kind: str, packet: bytes) -> None:
    if version == PROTOCOL:
        assert decode([packet]).kind == Kind[kind]
        return
    with pytest.raises(ProtocolVersionError, match=f"speaks protocol {version}, this process speaks {PROTOCOL}"):
        decode([packet])


def foreign(*kinds: str) -> list[Any]:
    """One packet of each other version, of the first of these kinds that it has."""
    found: dict[int, Any] = {}
    for parameter in packets():
        version, kind, packet = parameter.values
        if version != PROTOCOL and kind in kinds:
            found.setdefault(version, pytest.param(version, packet, id=f"protocol {version}"))
    return list(found.values())


class Listener:
    """A peer of another version that listens and answers every packet with `answer`."""

    def __init__(self, socket: "zmq.Socket[bytes]", answer: bytes) -> None:
        self._socket, self._answer = socket, answer

    def serve(self) -> bool:
        """Answer what has come."""
        while self._socket.poll(10):
            route, *_ = self._socket.recv_multipart()
            self._socket.send_multipart([route, self._answer])
        return False


@pytest.fixture
def listen(address: str) -> Iterator[Callable[[bytes], Listener]]:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.bind(address)
        yield lambda answer: Listener(socket, answer)


@pytest.fixture
def dialler(address: str) -> Iterator["zmq.Socket[bytes]"]:
    """The socket of a dialling peer of another version."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.RCVTIMEO, 20_000)
        socket.connect(address)
        yield socket


@pytest.mark.parametrize(("version", "packet"), foreign("DATA"))
def test_a_receiver_refuses_a_sender_of_another_version(
    make_node: MakeNode, address: str, dialler: "zmq.Socket[bytes]", until: Until, version: int, packet: bytes
) -> None:
    receiver = StreamReceiver(make_node("learner/0"), address, window=4)
    dialler.send(packet)
    until(lambda: receiver.recv(timeout=0.01) is None and receiver.stats.refused, "the refusal")
    check_refusal(dialler.recv(), version)
    assert receiver.stats.messages == 0


@pytest.mark.parametrize(("version", "packet"), foreign("GET"))
def test_a_publisher_refuses_a_reader_of_another_version(
    make_node: MakeNode, address: str, dialler: "zmq.Socket[bytes]", version: int, packet: bytes
) -> None:
    publisher = Publisher(make_node("learner/0"), address)
    publisher.publish({}, {}, 1)
    dialler.send(packet)
    check_refusal(dialler.recv(), version)


@pytest.mark.parametrize(("version", "packet"), foreign("BEAT"))
def test_control_refuses_a_member_of_another_version(
    make_node: MakeNode, address: str, dialler: "zmq.Socket[bytes]", version: int, packet: bytes
) -> None:
    server = Server(make_node("learner/0"), address)
    dialler.send(packet)
    check_refusal(dialler.recv(), version)
    assert server.alive("actor") == set()


@pytest.mark.parametrize(("version", "packet"), foreign("ACK"))
def test_a_sender_refuses_a_receiver_of_another_version(
    make_node: MakeNode, address: str, listen: Callable[[bytes], Listener], version: int, packet: bytes
) -> None:
    peer = listen(packet)
    sender = StreamSender(make_node("actor/0"), address, window=4)
    with pytest.raises(Refused, match=f"speaks protocol {version}, this process speaks {PROTOCOL}"):
        sender.send({})
        while not sender.flush(0.01):
            peer.serve()


@pytest.mark.parametrize(("version", "packet"), foreign("VALUE"))
def test_a_subscriber_refuses_a_publisher_of_another_version(
    make_node: MakeNode, address: str, listen: Callable[[bytes], Listener], version: int, packet: bytes
) -> None:
    peer = listen(packet)
    subscriber = Subscriber(make_node("actor/0"), address)
    with pytest.raises(Refused, match=f"speaks protocol {version}, this process speaks {PROTOCOL}"):
        while subscriber.latest() is None:
            peer.serve()


@pytest.mark.parametrize(("version", "packet"), foreign("STATE"))
def test_a_member_refuses_a_server_of_another_version(
    make_node: MakeNode, address: str, listen: Callable[[bytes], Listener], version: int, packet: bytes, until: Until
) -> None:
    peer = listen(packet)
    member = Member(make_node("actor/0"), address)
    until(lambda: peer.serve() or member.refused, "the refusal")
    assert f"speaks protocol {version}, this process speaks {PROTOCOL}" in member.refused


def check_refusal(answer: bytes, version: int) -> None:
    packet = decode([answer])
    assert packet.kind == Kind.REFUSED
    assert f"speaks protocol {version}, this process speaks {PROTOCOL}" in packet.meta["reason"]
