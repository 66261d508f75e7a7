"""The ledger: whatever is killed or cut, every acknowledged message is found at the receiver exactly once."""

import random
import subprocess
import threading
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from surreal.protocol import stream_sender
from surreal.protocol.node import Node
from surreal.protocol.stream_receiver import StreamReceiver
from surreal.protocol.stream_sender import StreamSender
from tests.protocol.proxy import Proxy

Start = Callable[..., subprocess.Popen[str]]
KILLS = 15  # for each kind of address
SENDERS = 3


def test_senders_killed_at_random_lose_and_double_nothing_acknowledged(
    make_node: Callable[..., Node], start: Start, address: str, folder: Path
) -> None:
    chance = random.Random(20261121)
    receiver = StreamReceiver(make_node("learner/0"), address, window=8)
    got: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    life = dict.fromkeys((f"actor/{i}" for i in range(SENDERS)), 1)

    def begin(name: str) -> tuple[subprocess.Popen[str], int]:
        ledger = folder / f"{name.replace('/', '-')}.{life[name]}"
        return start("ledger_sender", address, name, life[name], ledger), chance.randint(1, 60)

    running = {name: begin(name) for name in life}
    kills = 0
    while kills < KILLS:
        message = receiver.recv(timeout=30)
        assert message is not None
        key = (message.sender, message.incarnation)
        got[key].append((message.seq, zlib.crc32(message.arrays["data"].tobytes())))
        child, kill_after = running[message.sender]
        if message.incarnation == life[message.sender] and len(got[key]) == kill_after:
            child.kill()
            kills += 1
            life[message.sender] += 1
            running[message.sender] = begin(message.sender)
    for child, _ in running.values():
        child.kill()
        child.wait()
    while message := receiver.recv(timeout=0.5):
        got[message.sender, message.incarnation].append((message.seq, zlib.crc32(message.arrays["data"].tobytes())))
    acknowledged = 0
    for (name, incarnation), received in got.items():
        rows = (folder / f"{name.replace('/', '-')}.{incarnation}").read_text().splitlines()
        book = [tuple(map(int, row.split())) for row in rows]
        assert received == [(seq, checksum) for seq, checksum, _ in book[: len(received)]]
        assert len(received) >= book[-1][2]
        acknowledged += book[-1][2]
    assert acknowledged > KILLS


@pytest.fixture
def proxy(tcp_address: str) -> Iterator[Proxy]:
    proxy = Proxy(tcp_address)
    yield proxy
    proxy.close()


def test_connections_cut_at_random_lose_and_double_nothing(
    make_node: Callable[..., Node], tcp_address: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_sender, "PROBE_AFTER", 0.3)
    chance = random.Random(20261121)
    cuts, total = 15, 600
    proxy.cut_after(chance.randrange(1_000_000) for _ in range(cuts))
    receiver = StreamReceiver(make_node("learner/0"), tcp_address, window=8)
    sender = StreamSender(make_node("actor/0"), proxy.address, window=8)

    def send() -> None:
        for i in range(total):
            sender.send({"data": np.full(chance.randrange(50_000), i, np.int32)}, {"i": i}, timeout=60)

    thread = threading.Thread(target=send)
    thread.start()
    for i in range(total):
        message = receiver.recv(timeout=60)
        assert message is not None
        assert (message.seq, message.meta["i"]) == (i, i)
        assert (message.arrays["data"] == i).all()
    thread.join()
    assert receiver.recv(0) is None and sender.flush(30)
    assert proxy.cuts == cuts
    assert sender.stats.resent > 0
