"""One receiving and one sending process: what the cases that measure streams have in common."""

import socket as sockets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import zmq

from surreal.protocol.transport.authorization import Access
from surreal.protocol.transport.curve_keys import Keys, make_key_files, write_key_files
from surreal.protocol.transport.node import Node

QUEUE = 64
"""Messages on each side of a raw socket."""
WINDOW = 2 * QUEUE
"""Messages of a stream that are not acknowledged, which are on both sides."""
WARM = 0.2
"""Share of the time that is not counted."""


class Pair(NamedTuple):
    """Both processes, and what ends with them."""

    address: str
    receiver: "subprocess.Popen[str]"
    stack: ExitStack

    def rate(self) -> float:
        """Return messages per second, as the receiver says once it has counted."""
        assert self.receiver.stdout
        return float(self.receiver.stdout.readline())


@contextmanager
def pair(module: str, receive: str, send: str, size: int, seconds: float, keyed: bool) -> Iterator[Pair]:
    """Run `module receive ADDRESS KEYS SECONDS` and `module send ADDRESS KEYS SIZE` until the end of the block."""
    with TemporaryDirectory(prefix="srl") as folder, ExitStack() as stack, sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        paths = write_key_files(make_key_files(["actor", "learner"]), Path(folder)) if keyed else {}
        receiver = stack.enter_context(child(module, receive, address, paths.get("learner", ""), seconds))
        stack.enter_context(child(module, send, address, paths.get("actor", ""), size))
        yield Pair(address, receiver, stack)


@contextmanager
def child(module: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """Run a process of a module of this package until the end of the block."""
    command = [sys.executable, "-P", "-m", module, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def count(receive: Callable[[], object], seconds: float) -> None:
    """Print how often `receive` returns in a second, after it has done so for a while."""
    receive()
    began, received = time.monotonic(), 0
    while (now := time.monotonic()) < began + WARM * seconds:
        receive()
    began = now
    while (now := time.monotonic()) < began + seconds:
        receive()
        received += 1
    print(received / (now - began), flush=True)


def node(name: str, address: str, key_file: str) -> Node:
    """Return the node that sends or receives, by keys if there is a file of them."""
    keys = Keys.read(Path(key_file)) if key_file else None
    return Node(name, 1, keys, {address: Access("learner", frozenset({"actor"}))})


def raw_pull(address: str, key_file: str) -> "zmq.Socket[bytes]":
    """Return the receiving end of plain pyzmq."""
    pull = zmq.Context().socket(zmq.PULL)
    pull.setsockopt(zmq.RCVHWM, QUEUE)
    if key_file:
        pull.setsockopt(zmq.CURVE_SERVER, 1)
        pull.setsockopt(zmq.CURVE_SECRETKEY, Keys.read(Path(key_file)).secret)
    pull.bind(address)
    return pull


def raw_push(address: str, key_file: str) -> "zmq.Socket[bytes]":
    """Return the sending end of plain pyzmq."""
    push = zmq.Context().socket(zmq.PUSH)
    push.setsockopt(zmq.SNDHWM, QUEUE)
    if key_file:
        keys = Keys.read(Path(key_file))
        push.setsockopt(zmq.CURVE_SERVERKEY, keys.public["learner"])
        push.setsockopt(zmq.CURVE_PUBLICKEY, keys.public["actor"])
        push.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    push.connect(address)
    return push
