"""Partitions: whatever the network drops, and for how long, nothing acknowledged is lost and traffic comes back soon.

Real packets between two addresses are dropped: network namespaces and nft, which need root; skipped elsewhere.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from surreal.protocol.transport.curve_keys import make_key_files, write_key_files
from tests.protocol.ledger import Ledger, chance
from tests.protocol.network import ADDRESS, INBOUND, OUTBOUND, Network, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
slow = [pytest.mark.slow, pytest.mark.timeout(900)]

Until = Callable[..., None]
SENDERS = [f"actor/{i}" for i in range(3)]
WINDOW, BYTES = 16, 1_000_000
SOON = 5.0
"""Seconds after a heal within which every sender gets through."""


@pytest.fixture
def network() -> Iterator[Network]:
    with Network("cut") as network:
        yield network


@pytest.fixture
def ledger(network: Network, folder: Path, until: Until) -> Iterator[Ledger]:
    """A receiver and senders for ever, as released and with keys, after their first messages."""
    keys = folder / "keys"
    keys.mkdir()
    write_key_files(make_key_files(["actor", "learner"]), keys)
    with Ledger(
        folder,
        ADDRESS,
        WINDOW,
        2.0,
        BYTES,
        receiver_within=network.listening,
        senders_within=network.dialling,
        keys=(keys,),
    ) as ledger:
        for name in ["learner/0", *SENDERS]:
            ledger.start(name)
        wait_for_all(ledger, until, 30)
        yield ledger


def wait_for_all(ledger: Ledger, until: Until, seconds: float) -> None:
    """Wait until each sender has got through at least once from now on."""
    before = {name: ledger.acknowledged(name) for name in SENDERS}
    for name, count in before.items():
        until(lambda name=name, count=count: ledger.acknowledged(name) > count, f"{name} to get through", seconds)


def finish(ledger: Ledger, until: Until) -> None:
    """Replace the senders by ones that end, wait for that, and hold the books to the rules."""
    for name in SENDERS:
        ledger.kill(name)
        ledger.start(name, messages=20)
    for name in SENDERS:
        until(lambda name=name: ledger.ended(name), f"{name} to end")
    print(ledger.check())


def memory(ledger: Ledger) -> dict[str, int]:
    """Bytes that each process has resident."""
    return {name: psutil.Process(pid).memory_info().rss for name, pid in ledger.pids.items()}


DIRECTIONS = {"both ways": (INBOUND, OUTBOUND), "to the receiver": (INBOUND,), "answers": (OUTBOUND,)}


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("seconds", [pytest.param(10, marks=slow), pytest.param(60, marks=slow)])
def test_after_a_partition_traffic_flows_soon_and_memory_stayed_within_the_window(
    network: Network, ledger: Ledger, until: Until, seconds: int, direction: str
) -> None:
    before = memory(ledger)
    network.cut(*DIRECTIONS[direction])
    deadline = time.monotonic() + seconds
    most = dict(before)
    while time.monotonic() < deadline:
        most = {name: max(most[name], now) for name, now in memory(ledger).items()}
        time.sleep(0.2)
    assert set(ledger.pids) == {"learner/0", *SENDERS}
    network.heal()
    wait_for_all(ledger, until, SOON)
    finish(ledger, until)
    grown = {name: (most[name] - before[name]) // 2**20 for name in most}
    print(f"grown by MiB: {grown}")
    assert all(mebibytes < 2 * WINDOW * BYTES // 2**20 for mebibytes in grown.values())


def test_after_a_short_partition_nothing_is_missing(network: Network, ledger: Ledger, until: Until) -> None:
    network.cut()
    time.sleep(1)  # the fault itself
    network.heal()
    wait_for_all(ledger, until, 30)
    finish(ledger, until)


@pytest.mark.slow
def test_connections_reset_each_second_lose_nothing_and_get_through(
    network: Network, ledger: Ledger, until: Until
) -> None:
    for _ in range(10):
        network.reset()
        time.sleep(0.1)  # the fault itself
        network.heal()
        wait_for_all(ledger, until, SOON)
        time.sleep(0.5)
    finish(ledger, until)


@pytest.mark.slow
@pytest.mark.parametrize("percent", [1, 5])
def test_lost_packets_lose_no_message(network: Network, ledger: Ledger, until: Until, percent: int) -> None:
    network.lose(percent)
    began = ledger.handed()
    time.sleep(10)  # the fault itself
    print(f"{percent} % loss: {(ledger.handed() - began) / 10 / 30:.0f} messages/s")
    wait_for_all(ledger, until, 60)
    network.heal()
    finish(ledger, until)


@pytest.mark.parametrize("partitions", [pytest.param(100, marks=slow)])
def test_partitions_and_deaths_at_random_lose_and_double_nothing_acknowledged(
    network: Network, ledger: Ledger, until: Until, partitions: int
) -> None:
    dice = chance()
    schedule = [
        (dice.choice(list(DIRECTIONS)), dice.choice([0.2, 1, 2, 7]), dice.choice([*SENDERS, "learner/0", "nobody"]))
        for _ in range(partitions)
    ]
    print(f"(direction, seconds, who is killed meanwhile): {schedule}")
    for direction, seconds, victim in schedule:
        network.cut(*DIRECTIONS[direction])
        time.sleep(seconds / 2)
        if victim in ledger.pids:
            ledger.kill(victim)
            ledger.start(victim)
        time.sleep(seconds / 2)
        network.heal()
        wait_for_all(ledger, until, 30)
    finish(ledger, until)
