"""Waits of every channel: time in which a process waits for another is idle, whatever operation it waits in."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from surreal.protocol.broadcast.subscriber import Subscriber
from surreal.protocol.errors import Timeout
from surreal.protocol.profiling.spans import ACTIVE, COMMUNICATION, IDLE, Recorder, operation
from surreal.protocol.service.client import ServiceClient
from surreal.protocol.service.server import ServiceServer
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.stream.sharded import ShardedSender
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.selector import Selector

SECONDS = 0.05


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """The recorder of this process while the test runs."""
    ACTIVE.recorder = Recorder()
    yield ACTIVE.recorder
    ACTIVE.recorder = None


def fill(sender: StreamSender | ShardedSender) -> None:
    """Send until there is no room, and wait for some."""
    while True:
        sender.send({}, timeout=SECONDS)


def select(node: Node, address: str) -> None:
    """Wait for one of several channels."""
    selector = Selector(node)
    selector.wait([StreamReceiver(node, address, window=1)], SECONDS)
    selector.close()


WAITS: dict[str, Callable[[Node, str], object]] = {
    "send": lambda node, address: fill(StreamSender(node, address, window=1)),
    "send to shards": lambda node, address: fill(ShardedSender(node, [f"{address}0", f"{address}1"], window=1)),
    "receive": lambda node, address: StreamReceiver(node, address, window=1).recv(timeout=SECONDS),
    "subscribe": lambda node, address: Subscriber(node, address).wait(timeout=SECONDS),
    "serve": lambda node, address: ServiceServer(node, address, window=1).recv(timeout=SECONDS),
    "call": lambda node, address: ServiceClient(node, [address], window=1).call({}, timeout=SECONDS),
    "select": select,
    "rest": lambda node, address: node.stopping.wait(SECONDS),
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_a_process_that_waits_is_idle(
    wait: Callable[[Node, str], object], make_node: Callable[..., Node], folder: Path, recorder: Recorder
) -> None:
    node = make_node("actor/0")
    with operation("send", COMMUNICATION), suppress(Timeout):
        wait(node, f"ipc://{folder}/x")
    names = recorder.names()
    marks = recorder.drain(1000)[0]
    idle = sum(mark.duration for mark in marks if names[mark.key] == ("wait", IDLE))
    # On a machine with too few cores a call that was to give up is late, in no wait of its own.
    assert idle > 0.2 * SECONDS * 1e9
