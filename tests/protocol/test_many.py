"""Many senders on one receiver: everyone gets its share, and what waits is bounded by the windows."""

import subprocess
from collections import defaultdict
from collections.abc import Callable

import psutil
import pytest

from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.transport.node import Node

MakeNode = Callable[..., Node]
Start = Callable[..., subprocess.Popen[str]]
PROCESSES, EACH = 4, 16
WINDOW, MESSAGES, BYTES = 4, 25, 250_000


@pytest.mark.timeout(180)
def test_64_senders_that_wait_take_no_more_memory_than_their_windows_and_then_each_gets_its_share(
    start: Start, make_node: MakeNode, address: str
) -> None:
    receiver = StreamReceiver(make_node("learner/0"), address, WINDOW)
    before = psutil.Process().memory_info().rss
    children = [
        start("many_senders", address, i * EACH, (i + 1) * EACH, WINDOW, MESSAGES, BYTES) for i in range(PROCESSES)
    ]
    for child in children:
        assert child.stdout and child.stdout.readline() == "full\n"
    grown = psutil.Process().memory_info().rss - before
    assert grown < 1.25 * PROCESSES * EACH * WINDOW * BYTES
    got: dict[str, list[int]] = defaultdict(list)
    for _ in range(PROCESSES * EACH * MESSAGES):
        message = receiver.recv(timeout=120)
        assert message and (message.arrays["data"] == message.seq).all()
        got[message.sender].append(message.seq)
    assert got == {f"actor/{i}": list(range(MESSAGES)) for i in range(PROCESSES * EACH)}
    assert receiver.recv(timeout=0.01) is None
    for child in children:
        assert child.communicate()[0] == "done\n"
    assert receiver.stats.duplicates == receiver.stats.refused == 0
