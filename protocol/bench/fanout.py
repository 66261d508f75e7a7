"""One writer to many readers, beside raw PUB/SUB and beside itself with fewer readers.

The readers are real sockets, in two processes with one I/O thread each. The next version is published when every reader
has the last one, which is what both sides of a ratio are measured by.
"""

import os
import socket as sockets
import statistics
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory

import numpy as np
import zmq

from surreal.protocol.bench.harness import Case
from surreal.protocol.broadcast.publisher import QUEUE_PACKETS, Publisher
from surreal.protocol.broadcast.relay import Relay
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import PacketSocket
from surreal.protocol.wire.codec import encode_body, encode_prefix
from surreal.protocol.wire.packet import Kind, Version

READING = 2
"""Processes that the readers are divided among."""
RELAYS = 4
MEGABYTE = 2**20
_VERSION = struct.Struct("<q")

Publish = Callable[[int], None]
Wait = Callable[[int, float], bool]


def cases() -> list[Case]:
    """Return the cases of `surreal bench protocol` on broadcasts."""
    return [
        Case(
            "broadcast, 1 MB to 64 readers",
            lambda seconds: 1 / statistics.mean(_times(64, MEGABYTE, seconds)),
            lambda seconds: 1 / statistics.mean(_times_raw(64, MEGABYTE, seconds)),
            "versions/s",
            0.8,
        ),
        Case(
            "broadcast, 100 kB to the last of 256 readers beside 50 ms",
            lambda seconds: 1 / statistics.median(_times(256, 100_000, seconds)),
            lambda _: 1 / 0.050,
            "1/s",
            1.0,
        ),
        Case(
            f"publish through {RELAYS} relays, CPU: to 2048 readers beside 64",
            lambda seconds: 1 / _writing(2048, 100_000, seconds),
            lambda seconds: 1 / _writing(64, 100_000, seconds),
            "versions/CPU-s",
            1 / 1.3,
        ),
    ]


def _times(readers: int, size: int, seconds: float) -> list[float]:
    """Return the seconds from `publish` until the last reader has the version, for each version."""
    address = _free_address()
    with _publisher(address, size) as publish, _crowd("read", [address], readers) as wait:
        return _measure(publish, wait, seconds)


def _times_raw(readers: int, size: int, seconds: float) -> list[float]:
    address = _free_address()
    with _pub(address, size) as publish, _crowd("read-raw", [address], readers) as wait:
        return _measure(publish, wait, seconds)


def _writing(readers: int, size: int, seconds: float) -> float:
    """Return the CPU-seconds that a call of `publish` takes its thread, which sends to all, with relays in between."""
    address, relays = _free_address(), [_free_address() for _ in range(RELAYS)]
    with ExitStack() as stack:
        publish = stack.enter_context(_publisher(address, size))
        for relay in relays:
            stack.enter_context(_child("relay", address, relay))
        wait = stack.enter_context(_crowd("read", relays, readers))
        spent: list[float] = []

        def timed(version: int) -> None:
            began = time.thread_time()
            publish(version)
            spent.append(time.thread_time() - began)

        _measure(timed, wait, seconds)
        return statistics.median(spent)


def _measure(publish: Publish, wait: Wait, seconds: float) -> list[float]:
    """Publish for some seconds, each version when the last has arrived everywhere, after all readers are there."""
    version = 0
    publish(version)
    while not wait(version, 0.5):  # raw subscribers get nothing of what was published before them
        version += 1
        publish(version)
    times: list[float] = []
    end = time.monotonic() + seconds
    while not times or time.monotonic() < end:
        version += 1
        began = time.monotonic()
        publish(version)
        if not wait(version, 60):
            raise RuntimeError(f"version {version} did not arrive everywhere in a minute")
        times.append(time.monotonic() - began)
    return times


def _free_address() -> str:
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


@contextmanager
def _publisher(address: str, size: int) -> Iterator[Publish]:
    weights = np.ones(size // 4, np.float32)
    with Node("writer/0", 1) as node:
        publisher = Publisher(node, address)
        yield lambda version: publisher.publish({"weights": weights}, {}, version)
        publisher.close()


@contextmanager
def _pub(address: str, size: int) -> Iterator[Publish]:
    weights = np.ones(size // 4, np.float32)
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.linger = 0
        socket.bind(address)

        def publish(version: int) -> None:
            socket.send_multipart([_VERSION.pack(version), weights.data], copy=False)

        yield publish


@contextmanager
def _crowd(kind: str, addresses: list[str], readers: int) -> Iterator[Wait]:
    """Yield a function that waits until the processes, which read with so many sockets, all have a version."""
    with ExitStack() as stack:
        report = f"ipc://{stack.enter_context(TemporaryDirectory(prefix='srl'))}/report"
        context = stack.enter_context(zmq.Context())
        pull = stack.enter_context(context.socket(zmq.PULL))
        pull.bind(report)
        for _ in range(READING):
            stack.enter_context(_child(kind, ",".join(addresses), str(readers // READING), report))

        def wait(version: int, timeout: float) -> bool:
            missing = READING
            while missing and pull.poll(int(timeout * 1000)):
                missing -= _VERSION.unpack(pull.recv())[0] == version
            return not missing

        yield wait


@contextmanager
def _child(*arguments: str) -> Iterator[None]:
    child = subprocess.Popen([sys.executable, "-P", "-m", "surreal.protocol.bench.fanout", *arguments])
    try:
        yield
    finally:
        child.kill()
        child.wait()


class _Tally:
    """Counts who has which version in a reading process, and reports the versions that all of its readers have."""

    def __init__(self, report: str, readers: int) -> None:
        self._push = zmq.Context().socket(zmq.PUSH)
        self._push.connect(report)
        self._readers = readers
        self._have: Counter[int] = Counter()
        self._newest: dict[int, object] = {}

    def count(self, reader: int, version: int, value: object) -> None:
        """Count a value that a reader has; keep it, as its user would."""
        self._newest[reader] = value
        self._have[version] += 1
        if self._have[version] == self._readers:
            self._push.send(_VERSION.pack(version))
            self._have.clear()


def _read(addresses: list[str], readers: int, report: str) -> None:
    """Follow a broadcast with many sockets until killed, as a `BroadcastClient` does but for repeated questions."""
    tally, node, poller = _Tally(report, readers), Node(f"reader/{os.getpid()}", 1), zmq.Poller()
    node.context.set(zmq.MAX_SOCKETS, 2 * readers + 100)
    ports: dict[object, tuple[int, PacketSocket]] = {}
    for i in range(readers):
        port = PacketSocket(node, addresses[i % len(addresses)], binds=False, queue=QUEUE_PACKETS)
        poller.register(port.zmq_socket, zmq.POLLIN)
        ports[port.zmq_socket] = i, port
        _ask(port, i, 0, (0, 0), False)
    while True:
        for socket, _ in poller.poll():
            i, port = ports[socket]
            while received := port.receive():
                packet = received[1]
                _ask(port, i, packet.seq + 1, packet.version, True)
                tally.count(i, packet.version[1], packet)


def _ask(port: PacketSocket, reader: int, number: int, have: Version, has: bool) -> None:
    body = encode_body(f"{port.node.name}-{reader}", 1, have).body
    port.send(encode_prefix(Kind.GET, 0, reader, number, has) + body)


def _read_raw(addresses: list[str], readers: int, report: str) -> None:
    """Subscribe with many sockets until killed."""
    tally, context, poller = _Tally(report, readers), zmq.Context(), zmq.Poller()
    context.set(zmq.MAX_SOCKETS, 2 * readers + 100)
    numbers: dict[object, int] = {}
    for i in range(readers):
        socket = context.socket(zmq.SUB)
        socket.connect(addresses[i % len(addresses)])
        socket.subscribe(b"")
        poller.register(socket, zmq.POLLIN)
        numbers[socket] = i
    while True:
        for socket, _ in poller.poll():
            head, weights = socket.recv_multipart(copy=False)
            tally.count(numbers[socket], _VERSION.unpack(head.bytes)[0], weights)


def main(kind: str, addresses: str, *rest: str) -> None:
    """Run one of the processes that a measurement starts."""
    if kind == "relay":
        with Node("weights-relay/0", 1) as node:
            Relay(node, addresses, *rest)
            node.stopping.wait()
    readers, report = rest
    (_read if kind == "read" else _read_raw)(addresses.split(","), int(readers), report)


if __name__ == "__main__":
    main(*sys.argv[1:])
