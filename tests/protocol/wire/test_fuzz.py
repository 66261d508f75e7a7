"""Damaged messages: the decoder says MalformedError or gives a packet, and nothing else ever happens."""

import json
import os
import random
from collections.abc import Callable
from contextlib import suppress
from subprocess import Popen

import psutil
import pytest

from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.node import Node
from tests.protocol import zmtp

LONGEST = 1.0
"""Seconds of CPU that one message may take."""
GROWTH = 64
"""MiB."""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("mutants", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_mutants_neither_crash_nor_hang_nor_grow(start: Callable[..., Popen[str]], mutants: int) -> None:
    # a nightly run takes others
    first = int(os.environ.get("SURREAL_FUZZ_SEED", "1"))
    children = [start("fuzz_codec", seed, mutants // 2) for seed in (2 * first, 2 * first + 1)]
    for child in children:
        output, _ = child.communicate()
        assert child.returncode == 0, f"seeds {2 * first} and {2 * first + 1}"
        packets, malformed, longest, growth = json.loads(output)
        assert packets + malformed == mutants // 2
        assert packets and malformed
        assert longest < LONGEST
        assert growth < GROWTH


@pytest.mark.slow
def test_a_million_random_strings_at_a_port_leave_it_serving(
    start: Callable[..., Popen[str]], make_node: Callable[..., Node], tcp_address: str
) -> None:
    chance = random.Random(1)
    child = start("bad_peer_victim", tcp_address, "", 0)
    assert child.stdout and child.stdout.readline() == "ready\n"
    victim = psutil.Process(child.pid)
    sender = StreamSender(make_node("actor/0"), tcp_address, 8)
    before = victim.memory_info().rss
    for turn in range(1000):
        vandalise(chance, tcp_address)
        if turn % 20 == 0:
            sender.send({}, timeout=120)
            assert sender.flush(120)
    assert victim.memory_info().rss < before + GROWTH * 2**20
    assert child.poll() is None
    sender.close()


def vandalise(chance: random.Random, address: str) -> None:
    """A thousand random strings: most as frames of one connection, some in place of a greeting or a handshake."""
    beginnings = [b"", zmtp.SIGNATURE, zmtp.greeting(), zmtp.greeting(b"CURVE"), zmtp.greeting() + b"\4\6\5READY"]
    for beginning in beginnings:
        with zmtp.connect(address) as bad, suppress(ConnectionError):
            bad.sendall(beginning + chance.randbytes(chance.randrange(1, 200)))
    with zmtp.join(address) as bad, suppress(ConnectionError):
        for _ in range(995):
            bad.sendall(zmtp.frame(chance.randbytes(chance.randrange(300)), chance.choice((0, 0, zmtp.MORE))))
