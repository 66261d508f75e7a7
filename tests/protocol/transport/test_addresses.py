"""Which addresses a channel listens on, and what a person is told about the others."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq

from surreal.protocol.errors import Fatal, SurrealError
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.addresses import check_address, listening
from surreal.protocol.transport.node import Node
from tests.ports import free_port


@pytest.mark.parametrize("address", ["ipc:///run/x", "tcp://127.0.0.1:80", "tcp://localhost:80", "tcp://[::1]:80"])
def test_ipc_and_loopback_are_taken(address: str) -> None:
    check_address(address, keyed=False)
    check_address(address, keyed=True)


@pytest.mark.parametrize("address", ["tcp://0.0.0.0:80", "tcp://*:80", "tcp://10.0.0.1:80", "tcp://example.org:80"])
def test_what_other_machines_can_reach_is_refused_without_keys(address: str) -> None:
    check_address(address, keyed=True)
    with pytest.raises(Fatal, match="this process has no keys"):
        check_address(address, keyed=False)


@pytest.mark.parametrize("address", ["udp://127.0.0.1:80", "inproc://x", "x"])
def test_other_transports_are_refused(address: str) -> None:
    with pytest.raises(Fatal, match="neither ipc:// nor tcp://"):
        check_address(address, keyed=True)


def test_a_socket_path_that_the_system_cannot_take_is_named_with_the_limit() -> None:
    with pytest.raises(Fatal, match=f"has 204 bytes, this system allows {zmq.IPC_PATH_MAX_LEN}"):
        check_address("ipc:///run/" + "x" * 199, keyed=False)


@pytest.mark.parametrize("port", [65_536, 70_000])
def test_a_port_above_the_last_one_is_refused_since_libzmq_would_listen_on_another(port: int) -> None:
    check_address("tcp://127.0.0.1:65535", keyed=True)
    with pytest.raises(Fatal, match=f"127.0.0.1:{port}: ports end at 65535"):
        check_address(f"tcp://127.0.0.1:{port}", keyed=True)


def test_a_place_where_nobody_can_listen_is_named(make_node: Callable[..., Node], folder: Path) -> None:
    with pytest.raises(SurrealError, match="learner/0 cannot listen on ipc:///.*/missing/x: No such file"):
        StreamReceiver(make_node("learner/0"), f"ipc://{folder}/missing/x", 4)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("tcp://cheetah-learner-0.cheetah:5601", "tcp://*:5601"),
        ("tcp://127.0.0.1:5601", "tcp://127.0.0.1:5601"),
        ("tcp://localhost:5601", "tcp://localhost:5601"),
        ("tcp://[::1]:5601", "tcp://[::1]:5601"),
        ("tcp://*:5601", "tcp://*:5601"),
        ("ipc:///run/x", "ipc:///run/x"),
    ],
)
def test_a_machine_listens_on_all_interfaces_where_its_address_is_a_name(address: str, place: str) -> None:
    assert listening(address) == place


def test_an_ipv6_address_is_bound_and_reached(make_node: Callable[..., Node]) -> None:
    port = free_port()
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", port))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    receiver = StreamReceiver(make_node("learner/0"), f"tcp://[::1]:{port}", 4)
    sender = StreamSender(make_node("actor/0"), f"tcp://[::1]:{port}", 4)
    sender.send({}, {"step": 1})
    message = receiver.recv(timeout=120)
    assert message and message.meta == {"step": 1}
    sender.close()
    receiver.close()
