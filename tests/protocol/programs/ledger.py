"""Forks senders and receivers of a stream that keep a ledger, so that a thousand of them start in no time.

usage: ledger.py WINDOW PROBE_AFTER BYTES, then one command a line on stdin; prints the pid of each child.

    sender ADDRESS NAME INCARNATION BOOK [COUNT]      sends COUNT messages (none: for ever), then flushes and ends
    receiver ADDRESS INCARNATION BOOK

A sender's book has `S seq checksum` before each send, `A count time` when it knows that more is acknowledged, and `E`
at its end. A receiver's book has `R incarnation time` before it listens, then `H sender incarnation seq checksum` for
each message that it was handed. The children are killed when stdin ends.
"""

import os
import signal
import sys
import time
import zlib
from contextlib import suppress
from itertools import count

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # no thread may live when this process forks
import numpy as np

from surreal.protocol import stream_sender
from surreal.protocol.node import Node
from surreal.protocol.stream_receiver import StreamReceiver
from surreal.protocol.stream_sender import StreamSender


class Book:
    """Lines in a file, each written whole before the call returns."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


def send(address: str, name: str, incarnation: str, path: str, messages: str = "") -> None:
    book, chance = Book(path), np.random.default_rng(int(incarnation))
    pool = chance.integers(0, 256, size + 4096, dtype=np.uint8)
    stream = StreamSender(Node(name, int(incarnation)), address, window=window)
    acknowledged = 0

    def note() -> None:
        nonlocal acknowledged
        stats = stream.stats
        if stats.messages - stats.depth > acknowledged:
            acknowledged = stats.messages - stats.depth
            book.write("A", acknowledged, time.monotonic())

    for seq in range(int(messages)) if messages else count():
        start = int(chance.integers(0, 4096))
        array = pool[start : start + int(chance.integers(1, size))].copy()
        book.write("S", seq, zlib.crc32(array.tobytes()))
        stream.send({"data": array})
        note()
    while not stream.flush(1):
        note()
    note()
    book.write("E")


def receive(address: str, incarnation: str, path: str) -> None:
    book = Book(path)
    book.write("R", incarnation, time.monotonic())
    stream = StreamReceiver(Node("learner/0", int(incarnation)), address, window=window)
    while message := stream.recv():
        checksum = zlib.crc32(message.arrays["data"].tobytes())
        book.write("H", message.sender, message.incarnation, message.seq, checksum)


window, size = int(sys.argv[1]), int(sys.argv[3])
stream_sender.PROBE_AFTER = float(sys.argv[2])
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries the children
children: list[int] = []
for line in sys.stdin:
    what, *arguments = line.split()
    if child := os.fork():
        children.append(child)
        print(child, flush=True)
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    (send if what == "sender" else receive)(*arguments)
    os._exit(0)
for child in children:
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
