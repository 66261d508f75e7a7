"""What safety costs: a stream under keys beside raw CURVE, and a stream beside peers that send garbage.

Sender, receiver and vandal are processes of their own. The vandal connects anew whenever it was cut, which is after ten
packets that are none.
"""

import random
import socket as sockets
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import zmq

from surreal.protocol.access import Access
from surreal.protocol.bench.harness import Case
from surreal.protocol.keys import Keys, make_key_files, write_key_files
from surreal.protocol.node import Node
from surreal.protocol.stream_receiver import StreamReceiver
from surreal.protocol.stream_sender import StreamSender

WINDOW = 64
MEGABYTE = 2**20
MALFORMED = 10_000
"""Packets a second that the vandal sends."""
BURST = 20
"""Of them on one connection."""


def cases() -> list[Case]:
    """What `surreal bench protocol` measures of keys and bad peers."""
    return [
        Case("stream under keys, 1 kB", _stream(1000, keyed=True), _raw(1000), "messages/s", 0.9),
        Case("stream under keys, 1 MB", _stream(MEGABYTE, keyed=True), _raw(MEGABYTE), "messages/s", 0.9),
        Case(
            f"stream of 16 kB beside {MALFORMED:,} malformed/s",
            _stream(16_000, vandals=True),
            _stream(16_000),
            "messages/s",
            0.8,
        ),
    ]


def _stream(nbytes: int, keyed: bool = False, vandals: bool = False) -> Callable[[float], float]:
    """Measures messages per second of one sender and one receiver."""

    def measure(seconds: float) -> float:
        with _run("receive", "send", nbytes, seconds, keyed) as (address, receiver, stack):
            if vandals:
                stack.enter_context(_child("vandalise", address))
            return _rate(receiver)

    return measure


def _raw(nbytes: int) -> Callable[[float], float]:
    """Measures messages per second of PUSH to PULL with CURVE."""

    def measure(seconds: float) -> float:
        with _run("raw-receive", "raw-send", nbytes, seconds, True) as (_, receiver, _):
            return _rate(receiver)

    return measure


def _rate(receiver: "subprocess.Popen[str]") -> float:
    assert receiver.stdout
    return float(receiver.stdout.readline())


@contextmanager
def _run(
    receive: str, send: str, nbytes: int, seconds: float, keyed: bool
) -> Iterator[tuple[str, "subprocess.Popen[str]", ExitStack]]:
    """A receiving and a sending process, until the end of the block."""
    with TemporaryDirectory() as folder, ExitStack() as stack, sockets.create_server(("127.0.0.1", 0)) as probe:
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        paths = write_key_files(make_key_files(["actor", "learner"]), Path(folder))
        receiver = stack.enter_context(_child(receive, address, paths["learner"] if keyed else "", seconds))
        stack.enter_context(_child(send, address, paths["actor"] if keyed else "", nbytes))
        yield address, receiver, stack


@contextmanager
def _child(*arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """A process of this module, until the end of the block."""
    command = [sys.executable, "-P", "-m", "surreal.protocol.bench.badpeers", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        yield child
        child.kill()


def _count(receive: Callable[[], object], seconds: float) -> None:
    """Print how often `receive` returns in a second, once it has for the tenth part of the time."""
    receive()
    warm = time.monotonic() + seconds / 10
    while time.monotonic() < warm:
        receive()
    began, count = time.monotonic(), 0
    while (now := time.monotonic()) - began < seconds:
        receive()
        count += 1
    print(count / (now - began), flush=True)


def _node(name: str, address: str, key_file: str) -> Node:
    keys = Keys.read(Path(key_file)) if key_file else None
    return Node(name, 1, keys, {address: Access("learner", frozenset({"actor"}))})


def _receive(address: str, key_file: str, seconds: str) -> None:
    _count(StreamReceiver(_node("learner/0", address, key_file), address, WINDOW).recv, float(seconds))


def _send(address: str, key_file: str, nbytes: str) -> None:
    stream = StreamSender(_node("actor/0", address, key_file), address, WINDOW)
    arrays = {"data": np.zeros(int(nbytes), np.uint8)}
    while True:
        stream.send(arrays)


def _raw_receive(address: str, key_file: str, seconds: str) -> None:
    keys, socket = Keys.read(Path(key_file)), zmq.Context().socket(zmq.PULL)
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    socket.setsockopt(zmq.RCVHWM, WINDOW)
    socket.bind(address)
    _count(lambda: socket.recv_multipart(copy=False), float(seconds))


def _raw_send(address: str, key_file: str, nbytes: str) -> None:
    keys, socket = Keys.read(Path(key_file)), zmq.Context().socket(zmq.PUSH)
    socket.setsockopt(zmq.CURVE_SERVERKEY, keys.public["learner"])
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public["actor"])
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    socket.setsockopt(zmq.SNDHWM, WINDOW)
    socket.connect(address)
    data = bytes(int(nbytes))
    # below 8 kB one frame is what we send, and faster
    frames = [data] if len(data) <= 8192 else [bytes(100), data]
    while True:
        socket.send_multipart(frames, copy=len(frames) == 1)


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
        "raw-receive": _raw_receive,
        "raw-send": _raw_send,
        "vandalise": _vandalise,
    }
    roles[sys.argv[1]](*sys.argv[2:])
