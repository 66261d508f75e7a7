"""Waiting for several channels: the first that has something to read ends the wait."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.protocol.broadcast.publisher import Publisher
from surreal.protocol.broadcast.subscriber import Subscriber
from surreal.protocol.errors import Stopping
from surreal.protocol.service.client import ServiceClient
from surreal.protocol.service.server import ServiceServer
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.selector import Selector

MakeNode = Callable[..., Node]


class Ends:
    """A process that reads one channel of each kind, and the other ends of them."""

    def __init__(self, make_node: MakeNode, folder: Path) -> None:
        at = f"ipc://{folder}/"
        self.node, peer = make_node("learner/0"), make_node("actor/0")
        self.stream = StreamReceiver(self.node, at + "stream", window=4)
        self.service = ServiceServer(self.node, at + "service", window=4)
        self.weights = Subscriber(self.node, at + "weights")
        self.sender = StreamSender(peer, at + "stream", window=4)
        self.client = ServiceClient(peer, [at + "service"], window=4)
        self.publisher = Publisher(peer, at + "weights")
        self.selector = Selector(self.node)

    def wait(self, timeout: float | None = 20.0) -> list[Any]:
        channels: list[Any] = [self.stream, self.service, self.weights]
        return self.selector.wait(channels, timeout)

    def close(self) -> None:
        self.selector.close()
        for each in (self.sender, self.client, self.publisher, self.stream, self.service, self.weights):
            each.close()


@pytest.fixture
def ends(make_node: MakeNode, folder: Path) -> Any:
    made = Ends(make_node, folder)
    yield made
    made.close()


def test_the_channel_that_has_something_is_returned_and_stays_so_until_it_is_read(ends: Ends) -> None:
    ends.sender.send({"x": np.zeros(3)})
    assert ends.wait() == ends.wait() == [ends.stream]
    assert ends.stream.recv(timeout=0) is not None
    pending = ends.client.submit({}, timeout=400)
    assert ends.wait() == ends.wait() == [ends.service]
    request = ends.service.recv(timeout=0)
    assert request
    request.reply({})
    pending.result()
    ends.publisher.publish({}, {}, 1)
    assert ends.wait() == ends.wait() == [ends.weights]
    newest = ends.weights.latest()
    assert newest and newest.version == (1, 1)
    assert ends.wait(timeout=0) == []


def test_a_channel_that_gets_something_ends_a_wait_that_has_begun(ends: Ends) -> None:
    for act, channel, read in (
        (lambda: ends.publisher.publish({}, {}, 1), ends.weights, ends.weights.latest),
        (lambda: ends.sender.send({}), ends.stream, lambda: ends.stream.recv(0)),
        (lambda: ends.client.submit({}), ends.service, lambda: ends.service.recv(0)),
    ):
        timer = threading.Timer(0.3, act)
        timer.start()
        assert ends.wait() == [channel]
        assert read()
        timer.join()


def test_several_channels_are_returned_together(ends: Ends, until: Callable[..., None]) -> None:
    ends.sender.send({})
    ends.publisher.publish({}, {}, 1)
    until(lambda: ends.weights._newest, "the value")
    until(lambda: ends.stream._socket.wait(0.0), "the message")
    assert ends.wait() == [ends.stream, ends.weights]


def test_a_wait_ends_at_its_time_and_a_probe_is_nothing_to_read(ends: Ends) -> None:
    ends.sender.has_room(0)
    ends.sender._serve()  # connects, and says who it is
    began = time.monotonic()
    assert ends.wait(timeout=0.3) == []
    assert time.monotonic() - began >= 0.29


def test_a_process_that_is_asked_to_stop_waits_no_longer(ends: Ends) -> None:
    threading.Timer(0.2, lambda: ends.node.stop("SIGTERM")).start()
    with pytest.raises(Stopping, match="SIGTERM"):
        ends.wait(timeout=None)


def test_messages_are_acknowledged_while_their_receiver_waits_for_other_channels(ends: Ends) -> None:
    ends.sender.send({})
    assert ends.wait() == [ends.stream]
    assert ends.stream.recv(0)
    waiting = threading.Thread(target=lambda: ends.wait(timeout=100))
    waiting.start()
    assert ends.sender.flush(120)
    ends.sender.send({})
    waiting.join()
