"""Nodes, addresses and real child processes that go away after each test."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from surreal.protocol.transport.node import Node
from tests.ports import free_port

PROGRAMS = Path(__file__).parent / "programs"

MakeNode = Callable[[str, int], Node]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for ipc sockets on every system."""
    path = Path(tempfile.mkdtemp(prefix="srl"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def tcp_address() -> str:
    """A loopback address that is this test's alone."""
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture(params=["ipc", "tcp"])
def address(request: pytest.FixtureRequest, folder: Path, tcp_address: str) -> str:
    """One address of each kind."""
    return f"ipc://{folder}/channel" if request.param == "ipc" else tcp_address


@pytest.fixture
def make_node() -> Iterator[MakeNode]:
    """Makes nodes and closes them, with all their sockets, at the end."""
    nodes: list[Node] = []

    def make(name: str, incarnation: int = 1) -> Node:
        nodes.append(Node(name, incarnation))
        return nodes[-1]

    yield make
    for node in nodes:
        node.close()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `programs/NAME.py` with arguments as a process of its own, killed at the end at the latest."""
    children: list[subprocess.Popen[str]] = []

    def start(name: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, str(PROGRAMS / f"{name}.py"), *map(str, arguments)]
        children.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return children[-1]

    yield start
    for child in children:
        end(child)


def end(child: subprocess.Popen[str]) -> None:
    """Kill a process, if it still runs, and close its pipes."""
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe:
            pipe.close()


def until(condition: Callable[[], object], what: str, seconds: float = 120.0) -> None:
    """Wait until `condition()` holds; the test fails if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.01)


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., None]:
    """Waits for a condition instead of for a time."""
    return until
