"""Forks senders and receivers of a stream that keep a ledger, so that a thousand of them start in no time.

usage: ledger.py WINDOW PROBE_AFTER_S BYTES [KEYS], then one command a line on stdin; prints the pid of each child.
KEYS is a folder with key files of the roles actor and learner.

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
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # no thread may live when this process forks
import numpy as np

from surreal.protocol.stream import sender as stream_sender
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.authorization import Access
from surreal.protocol.transport.curve_keys import Keys
from surreal.protocol.transport.node import Node


class Book:
    """Lines in a file, each written whole before the call returns."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


def make_node(name: str, incarnation: str, address: str) -> Node:
    """A node that may use `address`, with keys if there are any."""
    if not folder:
        return Node(name, int(incarnation))
    keys = Keys.read(Path(*folder) / f"{name.partition('/')[0]}.json")
    return Node(name, int(incarnation), keys, {address: Access("learner", frozenset({"actor"}))})


def send(address: str, name: str, incarnation: str, path: str, messages: str = "") -> None:
    book, chance = Book(path), np.random.default_rng(int(incarnation))
    pool = chance.integers(0, 256, size + 4096, dtype=np.uint8)
    stream = StreamSender(make_node(name, incarnation, address), address, window=window)
    acknowledged = 0

    def note() -> None:
        nonlocal acknowledged
        if stream.acknowledged > acknowledged:
            acknowledged = stream.acknowledged
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
    stream = StreamReceiver(make_node("learner/0", incarnation, address), address, window=window)
    while message := stream.recv():
        checksum = zlib.crc32(message.arrays["data"].tobytes())
        book.write("H", message.sender, message.incarnation, message.seq, checksum)


window, size, folder = int(sys.argv[1]), int(sys.argv[3]), sys.argv[4:]
stream_sender.PROBE_AFTER_S = float(sys.argv[2])
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
