"""The cost of safety: a stream under keys beside raw CURVE, and a stream beside peers that send garbage.

Sender, receiver and vandal are processes of their own. The vandal connects anew whenever it was cut, which is after ten
packets that are none.
"""

import logging
import random
import socket as sockets
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from surreal.protocol.bench.harness import Case
from surreal.protocol.bench.pair import WINDOW, child, count, node, pair, raw_pull, raw_push
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender

MODULE = "surreal.protocol.bench.badpeers"
MEGABYTE = 2**20
MALFORMED = 10_000
"""Packets a second that the vandal sends."""
BURST = 20
"""Malformed packets on one connection."""


def cases() -> list[Case]:
    """Return the cases of `surreal bench protocol` on keys and bad peers."""
    return [
        Case("one array under keys, 1 kB", _stream(1000, keyed=True), _raw(1000), "messages/s", 0.5),
        Case("one array under keys, 1 MB", _stream(MEGABYTE, keyed=True), _raw(MEGABYTE), "messages/s", 0.9),
        Case(
            f"stream of 16 kB beside {MALFORMED:,} malformed/s",
            _stream(16_000, vandals=True),
            _stream(16_000),
            "messages/s",
            0.8,
        ),
    ]


def _stream(nbytes: int, keyed: bool = False, vandals: bool = False) -> Callable[[float], float]:
    """Return messages per second of one sender and one receiver."""

    def measure(seconds: float) -> float:
        with pair(MODULE, "receive", "send", nbytes, seconds, keyed) as both:
            if vandals:
                both.stack.enter_context(child(MODULE, "vandalise", both.address))
            return both.rate()

    return measure


def _raw(nbytes: int) -> Callable[[float], float]:
    """Return messages per second of PUSH to PULL with CURVE."""

    def measure(seconds: float) -> float:
        with pair(MODULE, "receive-raw", "send-raw", nbytes, seconds, keyed=True) as both:
            return both.rate()

    return measure


def _receive(address: str, key_file: str, seconds: str) -> None:
    count(StreamReceiver(node("learner/0", address, key_file), address, WINDOW).recv, float(seconds))


def _send(address: str, key_file: str, nbytes: str) -> None:
    stream = StreamSender(node("actor/0", address, key_file), address, WINDOW)
    arrays = {"data": np.zeros(int(nbytes), np.uint8)}
    while True:
        stream.send(arrays)


def _receive_raw(address: str, key_file: str, seconds: str) -> None:
    pull = raw_pull(address, key_file)
    count(lambda: pull.recv_multipart(copy=False), float(seconds))


def _send_raw(address: str, key_file: str, nbytes: str) -> None:
    push, data = raw_push(address, key_file), bytes(int(nbytes))
    # below 8 kB one frame is what we send, and faster
    frames = [data] if len(data) <= 8192 else [bytes(100), data]
    while True:
        push.send_multipart(frames, copy=len(frames) == 1)


def _vandalise(address: str) -> None:
    """Send garbage in bursts, each on a connection of its own, for ever."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    chance, began, sent = random.Random(1), time.monotonic(), 0
    while True:
        with suppress(ConnectionError), sockets.create_connection((host, int(port))) as connected:
            connected.settimeout(5)
            connected.sendall(b"\xff" + bytes(8) + b"\x7f\x03\0" + b"NULL".ljust(20, b"\0") + bytes(32))
            connected.sendall(_frame(b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER", 4))
            heard = b""
            while b"READY" not in heard:
                heard += connected.recv(1024)
            connected.sendall(b"".join(_frame(chance.randbytes(100)) for _ in range(BURST)))
        sent += BURST
        time.sleep(max(0.0, began + sent / MALFORMED - time.monotonic()))


def _frame(data: bytes, flags: int = 0) -> bytes:
    return bytes([flags, len(data)]) + data


if __name__ == "__main__":
    roles: dict[str, Callable[..., None]] = {
        "receive": _receive,
        "send": _send,
        "receive-raw": _receive_raw,
        "send-raw": _send_raw,
        "vandalise": _vandalise,
    }
    # what it says of the vandal is known
    logging.getLogger("surreal").addHandler(logging.NullHandler())
    roles[sys.argv[1]](*sys.argv[2:])
