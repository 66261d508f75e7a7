"""Many senders on one receiver: the rate beside raw ROUTER/DEALER, the share of the slowest, the memory that it takes.

The senders are real sockets, in a few processes with one I/O thread each; all of them always have something to send.
"""

import copy
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import zmq

from surreal.protocol.bench.harness import Case
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.node import Node

SENDERS = 1024
SENDING = 4
"""Processes that the senders are divided among."""
WINDOW = 8
BYTES = 16 * 1024
"""Bytes of a message, in a frame of its own."""
MESSAGE_OVERHEAD, CONNECTION_OVERHEAD = 16 * 1024, 64 * 1024
"""Bytes that libzmq takes beside: it reads into blocks of 8 kB, each of which lives as long as any frame in it."""
REST = 0.02
"""Seconds that a sending process waits when all of its windows are full."""

Receive = Callable[[], bytes | str | None]


def cases() -> list[Case]:
    """Return the cases of `surreal bench protocol` on many senders."""
    return [
        Case(
            f"stream, {SENDERS:,} senders of 16 kB",
            lambda seconds: _measure("", seconds)["rate"],
            lambda seconds: _measure("raw-", seconds)["rate"],
            "messages/s",
            0.7,
        ),
        Case(
            f"stream, slowest of {SENDERS:,} senders / mean",
            lambda seconds: _measure("", 4 * seconds)["slowest"],
            lambda seconds: 1.0,
            "of its share",
            0.9,
        ),
        Case(
            f"stream, {SENDERS:,} senders: their windows / memory grown",
            lambda seconds: _windows() / _measure("", seconds)["grown"],
            lambda seconds: 1.0,
            "of the bound",
            0.9,
        ),
    ]


def _windows() -> int:
    """Return the bytes that full windows take at the receiver."""
    return SENDERS * (WINDOW * (BYTES + MESSAGE_OVERHEAD) + CONNECTION_OVERHEAD)


def _measure(kind: str, seconds: float) -> dict[str, float]:
    """Return messages/s, the slowest sender's share of the mean, and the bytes that the receiver has grown by."""
    with TemporaryDirectory(prefix="srl") as folder, ExitStack() as stack:
        address = f"ipc://{folder}/many"
        receiver = stack.enter_context(_child(f"{kind}receive", address, SENDERS, seconds))
        each = SENDERS // SENDING
        for number in range(SENDING):
            stack.enter_context(_child(f"{kind}send", address, number * each, each))
        assert receiver.stdout
        found: dict[str, float] = json.loads(receiver.stdout.readline())
        return found


@contextmanager
def _child(*arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """Run a process of this module until the end of the block."""
    command = [sys.executable, "-P", "-m", "surreal.protocol.bench.many", *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        yield child
        child.kill()


def _send(address: str, first: int, count: int) -> None:
    """Keep `count` windows full, for ever."""
    node = Node("actor", 1)
    streams = []
    for index in range(first, first + count):
        each = copy.copy(node)  # another name in the same process
        each.name = f"actor/{index}"
        streams.append(StreamSender(each, address, WINDOW, lossy=True))
    arrays = {"data": np.zeros(BYTES, np.uint8)}
    while True:
        if not sum(stream.send(arrays) for stream in streams):
            time.sleep(REST)


def _raw_send(address: str, first: int, count: int) -> None:
    """Send the same with DEALER sockets and their high-water marks."""
    context = zmq.Context()
    header, data = bytes(100), bytes(BYTES)
    sockets = []
    for _ in range(count):
        sockets.append(context.socket(zmq.DEALER))
        sockets[-1].setsockopt(zmq.SNDHWM, WINDOW)
        sockets[-1].connect(address)
    while True:
        sent = 0
        for socket in sockets:
            with suppress(zmq.Again):
                socket.send_multipart([header, data], zmq.NOBLOCK, copy=False)
                sent += 1
        if not sent:
            time.sleep(REST)


def _receive(address: str, senders: int, seconds: float) -> None:
    stream = StreamReceiver(Node("learner/0", 1), address, WINDOW)

    def receive() -> str | None:
        message = stream.recv(timeout=1.0)
        return message.sender if message else None

    _count(receive, senders, seconds)


def _raw_receive(address: str, senders: int, seconds: float) -> None:
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.setsockopt(zmq.RCVHWM, WINDOW)
    socket.setsockopt(zmq.BACKLOG, senders)
    socket.bind(address)

    def receive() -> bytes:
        route, *_ = socket.recv_multipart(copy=False)
        return bytes(route.buffer)

    _count(receive, senders, seconds)


def _count(receive: Receive, senders: int, seconds: float) -> None:
    """Wait until everyone has been heard, then count who sends how much in `seconds`, and print it."""
    before = most = _resident()
    met: set[bytes | str | None] = {None}
    while len(met) <= senders:
        met.add(receive())
    counts: Counter[bytes | str | None] = Counter()
    began = looked = time.monotonic()
    while (now := time.monotonic()) < began + seconds:
        counts[receive()] += 1
        if now > looked + 0.1:
            looked, most = now, max(most, _resident())
    counts.pop(None, None)
    total = counts.total()
    slowest = min(counts.values()) / (total / senders) if len(counts) == senders else 0.0
    found = {"rate": total / (now - began), "slowest": slowest, "grown": most - before}
    found["fastest"] = max(counts.values()) / (total / senders)
    print(json.dumps(found), flush=True)


def _resident() -> int:
    """Return the bytes of this process that are in memory now; where that cannot be asked, at most so far."""
    pages = Path("/proc/self/statm")
    if pages.exists():
        return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    what, address, first, last = sys.argv[1:]
    if what.endswith("send"):
        (_send if what == "send" else _raw_send)(address, int(first), int(last))
    else:
        (_receive if what == "receive" else _raw_receive)(address, int(first), float(last))
