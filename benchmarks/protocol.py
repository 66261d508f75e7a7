"""How fast a Stream is beside raw pyzmq: `python benchmarks/protocol.py [--rounds 5] [--seconds 1]`.

Both carry the same message (four float32 arrays and two ints) over loopback tcp from one process to another, in turns
within one run. Raw is a PUSH/PULL pair, multipart, copy=False, no acknowledgements, arrays rebuilt from the frames: the
ceiling of what pyzmq can do. Only the ratio means anything; both move with the machine.
"""

import argparse
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import zmq

from surreal.protocol.node import Node
from surreal.protocol.stream_receiver import StreamReceiver
from surreal.protocol.stream_sender import StreamSender

SIZES = {"1 kB": 1024, "16 kB": 16 * 1024, "256 kB": 256 * 1024, "4 MB": 4 * 1024 * 1024}
WINDOW = 64


def _arrays(size: int) -> dict[str, np.ndarray]:
    return {f"array{i}": np.ones(size // 16, np.float32) for i in range(4)}


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def _until(seconds: float) -> Iterator[int]:
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        yield count
        count += 1


def send_raw(address: str, size: int, seconds: float) -> None:
    """Send for some seconds, then an empty message."""
    arrays = [array.data for array in _arrays(size).values()]
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.set_hwm(WINDOW)
        push.connect(address)
        for i in _until(seconds):
            push.send_multipart([struct.pack("<qq", i, 7), *arrays], copy=False)
        push.send(b"")


def receive_raw(address: str) -> float:
    """Messages per second from the first to the last."""
    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        pull.set_hwm(WINDOW)
        pull.bind(address)
        count, began = 0, 0.0
        while len(parts := pull.recv_multipart(copy=False)) > 1:
            began = began or time.monotonic()
            struct.unpack("<qq", parts[0].bytes)
            {f"array{i}": np.frombuffer(part.buffer, np.float32) for i, part in enumerate(parts[1:])}
            count += 1
        return (count - 1) / (time.monotonic() - began)


def send_stream(address: str, size: int, seconds: float) -> None:
    """Send for some seconds, then a message that says it was the last."""
    arrays = _arrays(size)
    with Node("sender/0", 1) as node:
        stream = StreamSender(node, address, WINDOW)
        for i in _until(seconds):
            stream.send(arrays, {"i": i, "k": 7})
        stream.send({}, {"last": True})
        stream.close(10)


def receive_stream(address: str) -> float:
    """Messages per second from the first to the last."""
    with Node("receiver/0", 1) as node:
        stream = StreamReceiver(node, address, WINDOW)
        count, began = 0, 0.0
        while (message := stream.recv()) and "last" not in message.meta:
            began = began or time.monotonic()
            count += 1
        rate = (count - 1) / (time.monotonic() - began)
        stream.recv(timeout=0.1)  # nothing: lets the last acknowledgement arrive
        stream.close()
        return rate


SENDERS: dict[str, Callable[[str, int, float], None]] = {"raw": send_raw, "stream": send_stream}
RECEIVERS: dict[str, Callable[[str], float]] = {"raw": receive_raw, "stream": receive_stream}


def measure(kind: str, size: int, seconds: float) -> float:
    """Messages per second of one kind, with the sender in a process of its own."""
    address = _free_address()
    with subprocess.Popen([sys.executable, __file__, "--send", kind, address, str(size), str(seconds)]):
        return RECEIVERS[kind](address)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--send", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        kind, address, size, seconds = options.send
        SENDERS[kind](address, int(size), float(seconds))
        return
    print(
        f"{'size':>8} {'raw msg/s':>12} {'stream msg/s':>13} {'stream MB/s':>12} {'ratio':>7}   (of {options.rounds})"
    )
    for label, size in SIZES.items():
        rounds = [[measure(kind, size, options.seconds) for kind in RECEIVERS] for _ in range(options.rounds)]
        raw, stream = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(ours / theirs for theirs, ours in rounds)
        print(f"{label:>8} {raw:12,.0f} {stream:13,.0f} {stream * size / 1e6:12,.0f} {ratio:7.2f}", flush=True)


if __name__ == "__main__":
    main()
