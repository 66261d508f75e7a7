"""The ledger: whatever is killed or cut, every acknowledged message is found at the receiver exactly once."""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from surreal.protocol.stream import sender as stream_sender
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.node import Node
from tests.protocol.ledger import Ledger, chance
from tests.protocol.proxy import Proxy

Until = Callable[..., None]
SENDERS = [f"actor/{i}" for i in range(4)]
ROW = 30
"""Bytes in a receiver's book for one message, about."""


def kill_by_schedule(ledger: Ledger, schedule: list[tuple[str, int]], until: Until) -> None:
    """Kill and replace the first of each pair once its second more messages were handed over, then let all end."""
    for name in ["learner/0", *SENDERS]:
        ledger.start(name)
    for victim, messages in schedule:
        enough = ledger.handed() + messages * ROW
        until(lambda enough=enough: ledger.handed() >= enough, "more messages")
        ledger.kill(victim)
        ledger.start(victim)
    replace_and_end(ledger, until)


def replace_and_end(ledger: Ledger, until: Until) -> None:
    """Replace the senders by ones that end, and wait for that."""
    for name in SENDERS:
        ledger.kill(name)
        ledger.start(name, messages=50)
    for name in SENDERS:
        until(lambda name=name: ledger.ended(name), f"{name} to end")


def make_schedule(kills: int) -> list[tuple[str, int]]:
    """Senders and, as every fourth victim, the receiver."""
    dice = chance()
    victims = [dice.choice(SENDERS) if i % 4 else "learner/0" for i in range(kills)]
    schedule = [(victim, dice.randint(0, 120)) for victim in victims]
    print(f"kills after messages: {schedule}")
    return schedule


@pytest.mark.parametrize("kills", [40, pytest.param(1200, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_senders_and_receivers_killed_at_random_lose_and_double_nothing_acknowledged(
    address: str, folder: Path, until: Until, kills: int
) -> None:
    schedule = make_schedule(kills)
    with Ledger(folder, address) as ledger:
        kill_by_schedule(ledger, schedule, until)
        found = ledger.check()
    print(found)
    assert found["acknowledged"] > kills and found["lives"] > kills // 4 - 1


def test_senders_to_a_stopped_receiver_wait_at_their_windows_and_lose_nothing(
    address: str, folder: Path, until: Until
) -> None:
    window = 8
    with Ledger(folder, address, window) as ledger:
        for name in ["learner/0", *SENDERS]:
            ledger.start(name)
        until(lambda: ledger.handed() > 100 * ROW, "messages")
        os.kill(ledger.pids["learner/0"], signal.SIGSTOP)
        for name in SENDERS:  # the one beyond the window is what `send` waits with
            until(lambda name=name: ledger.unacknowledged(name) == window + 1, f"{name} to wait")
        handed = ledger.handed()
        os.kill(ledger.pids["learner/0"], signal.SIGCONT)
        until(lambda: ledger.handed() > handed + 100 * ROW, "more messages")
        assert all(ledger.unacknowledged(name) <= window + 1 for name in SENDERS)
        replace_and_end(ledger, until)
        assert ledger.check()["lives"] == 1


@pytest.fixture
def proxy(tcp_address: str) -> Iterator[Proxy]:
    proxy = Proxy(tcp_address)
    yield proxy
    proxy.close()


def test_connections_cut_at_random_lose_and_double_nothing(
    make_node: Callable[..., Node], tcp_address: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_sender, "PROBE_AFTER_S", 0.3)
    chance = random.Random(20261121)
    cuts, total = 15, 600
    proxy.cut_after(chance.randrange(1_000_000) for _ in range(cuts))
    receiver = StreamReceiver(make_node("learner/0"), tcp_address, window=8)
    sender = StreamSender(make_node("actor/0"), proxy.address, window=8)

    def send() -> None:
        for i in range(total):
            sender.send({"data": np.full(chance.randrange(50_000), i, np.int32)}, {"i": i}, timeout=120)

    thread = threading.Thread(target=send)
    thread.start()
    for i in range(total):
        message = receiver.recv(timeout=120)
        assert message is not None
        assert (message.seq, message.meta["i"]) == (i, i)
        assert (message.arrays["data"] == i).all()
    thread.join()
    assert receiver.recv(0) is None and sender.flush(120)
    assert proxy.cuts == cuts
    assert sender.stats.resent > 0
