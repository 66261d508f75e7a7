"""Service: replicas that stop, die and come back. Every call succeeds at another one within its deadline."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from surreal.protocol.service.client import ServiceClient
from surreal.protocol.transport.node import Node

MakeNode = Callable[..., Node]
Start = Callable[..., subprocess.Popen[str]]
Until = Callable[..., None]


@pytest.fixture
def addresses(folder: Path) -> list[str]:
    return [f"ipc://{folder}/{i}" for i in range(2)]


@pytest.fixture
def replicas(start: Start, addresses: list[str]) -> list[subprocess.Popen[str]]:
    return [serve(start, address, f"server/{i}") for i, address in enumerate(addresses)]


def serve(start: Start, address: str, name: str, incarnation: int = 1) -> subprocess.Popen[str]:
    """A server in a process of its own that listens."""
    child = start("service_server", address, name, incarnation)
    assert child.stdout and child.stdout.readline()
    return child


def call_many(client: ServiceClient, first: int, count: int, timeout: float) -> set[str]:
    """Ask so many questions, eight at a time; who answered them."""
    answered = set()
    for start in range(first, first + count, 8):
        pending = [(i, client.submit({"x": np.array([i])}, timeout=timeout)) for i in range(start, start + 8)]
        for i, each in pending:
            answer = each.result()
            assert answer.arrays["y"].tolist() == [2 * i]
            answered.add(answer.sender)
    return answered


def both_answer(client: ServiceClient, until: Until) -> None:
    until(lambda: len(call_many(client, 0, 8, 20)) == 2, "answers of both replicas")


def test_a_stopped_replica_is_left_and_found_again_when_it_goes_on(
    replicas: list[subprocess.Popen[str]], addresses: list[str], make_node: MakeNode, until: Until
) -> None:
    client = ServiceClient(make_node("actor/0"), addresses, window=16)
    both_answer(client, until)
    os.kill(replicas[0].pid, signal.SIGSTOP)
    assert call_many(client, 0, 400, timeout=16) == {"server/1"}
    assert client.stats.resent > 0 and client.stats.dropped == 0
    os.kill(replicas[0].pid, signal.SIGCONT)
    both_answer(client, until)
    assert client.stats.duplicates > 0  # the answers that came late


def test_a_killed_replica_is_left_at_once_and_its_successor_is_found(
    replicas: list[subprocess.Popen[str]], addresses: list[str], make_node: MakeNode, start: Start, until: Until
) -> None:
    client = ServiceClient(make_node("actor/0"), addresses, window=16)
    both_answer(client, until)
    pending = [client.submit({"x": np.array([i])}, timeout=60) for i in range(16)]
    replicas[0].kill()
    assert [int(each.result().arrays["y"][0]) for each in pending] == [2 * i for i in range(16)]
    replicas[0].wait()
    assert call_many(client, 0, 400, timeout=60) == {"server/1"}
    assert client.stats.dropped == 0
    serve(start, addresses[0], "server/0", 2)
    both_answer(client, until)


def test_calls_to_the_only_server_survive_its_restart(start: Start, addresses: list[str], make_node: MakeNode) -> None:
    first = serve(start, addresses[0], "server/0")
    client = ServiceClient(make_node("actor/0"), addresses[:1], window=16)
    call_many(client, 0, 8, 20)
    os.kill(first.pid, signal.SIGSTOP)  # so that it takes the requests with it
    pending = [client.submit({"x": np.array([i])}, timeout=60) for i in range(8)]
    first.kill()
    first.wait()
    serve(start, addresses[0], "server/0", 2)
    assert [each.result().incarnation for each in pending] == [2] * 8
