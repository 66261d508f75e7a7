"""Polling without waiting: `recv(timeout=0)` hands over what has arrived, whatever lies before it in the socket."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from surreal.protocol.service import replica as replicas
from surreal.protocol.service.client import ServiceClient
from surreal.protocol.service.server import ServiceServer
from surreal.protocol.stream import sender as stream_sender
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.node import Node
from tests.protocol.sockets import waiting_packets

MakeNode = Callable[..., Node]
Until = Callable[..., None]
SENDERS = 40


@pytest.fixture
def place(folder: Path) -> str:
    return f"ipc://{folder}/channel"


def test_every_report_of_forty_senders_is_read_though_each_sends_a_probe_before_it(
    make_node: MakeNode, place: str, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a sender that waits for the last one of the forty would ask once more
    monkeypatch.setattr(stream_sender, "PROBE_AFTER_S", 1000.0)
    receiver = StreamReceiver(make_node("learner/0"), place, window=4)
    node = make_node("actor/0")
    senders = []
    for index in range(SENDERS):
        # one node of each name, but one I/O thread less than processes would have
        sender = StreamSender(make_node(f"actor/{index}") if index % 8 == 0 else node_like(node, index), place, 4)
        senders.append(sender)
        sender.send({"return": np.array(index)})
    until(lambda: waiting_packets(receiver._socket) == 2 * SENDERS, "a probe and a report of each")
    read = []
    while (message := receiver.recv(timeout=0)) is not None:
        read.append(int(message.arrays["return"]))
    assert sorted(read) == list(range(SENDERS))
    for sender in senders:
        sender.close()


def node_like(node: Node, index: int) -> Node:
    """Return a node with a name of its own on the I/O thread of another one."""
    other = object.__new__(Node)
    other.__dict__.update(node.__dict__, name=f"actor/{index}")
    return other


def test_probes_alone_do_not_keep_a_call_that_does_not_wait(
    make_node: MakeNode, place: str, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    monkeypatch.setattr("surreal.protocol.stream.receiver.READ_BATCH", 3)
    monkeypatch.setattr(stream_sender, "PROBE_AFTER_S", 1000.0)
    receiver = StreamReceiver(make_node("learner/0"), place, window=4)
    sender = StreamSender(make_node("actor/0"), place, 4)
    until(lambda: sender._send_probe(), "a connection")
    for _ in range(9):
        sender._send_probe()
    until(lambda: waiting_packets(receiver._socket) == 10, "all probes")
    assert receiver.recv(timeout=0) is None
    assert waiting_packets(receiver._socket) == 7
    sender.close()


def test_a_server_that_does_not_wait_finds_every_request_behind_the_clients_probes(
    make_node: MakeNode, place: str, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "PROBE_AFTER_S", 1000.0)
    server = ServiceServer(make_node("replay/0"), place, window=4)
    server.node.loop.cancel(server._timer)  # the I/O thread would read ahead now and then
    clients = [ServiceClient(make_node(f"actor/{index}"), [place], window=4) for index in range(6)]
    pending = [client.submit({"index": np.array(index)}, timeout=400) for index, client in enumerate(clients)]
    until(lambda: waiting_packets(server._socket) == 2 * len(clients), "a probe and a request of each")
    found = []
    while (request := server.recv(timeout=0)) is not None:
        found.append(int(request.arrays["index"]))
        request.reply({})
    assert sorted(found) == list(range(len(clients)))
    for each in pending:
        each.result()
    for client in clients:
        client.close()


def test_a_gathered_batch_is_no_larger_than_asked_for(make_node: MakeNode, place: str, until: Until) -> None:
    server = ServiceServer(make_node("replay/0"), place, window=8)
    client = ServiceClient(make_node("actor/0"), [place], window=8)
    for _ in range(5):
        client.submit({}, timeout=200)
    # so long a wait that the test would time out if a full batch did not end it
    assert [len(server.gather(2, max_wait=200.0, timeout=200.0)) for _ in range(2)] == [2, 2]
    client.close()
