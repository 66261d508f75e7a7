"""One sender, one receiver, two processes: a stream beside raw PUSH/PULL.

Both carry the same message, four float32 arrays and two ints. Raw is multipart with copy=False, no acknowledgements,
arrays rebuilt from the frames: the ceiling of what pyzmq can do. Its two queues hold 64 messages each, so our window,
which counts what is on both sides, is 128.
"""

import socket as sockets
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
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

QUEUE = 64
WINDOW = 2 * QUEUE
WARM = 0.2
"""Share of the time that is not counted."""


def cases() -> list[Case]:
    """What `surreal bench protocol` measures of streams."""
    sizes = {"1 kB": (2**10, 0.7), "16 kB": (2**14, 0.0), "256 kB": (2**18, 0.95), "4 MB": (2**22, 0.95)}
    plain = [_case(f"stream, {name}", size, goal, "") for name, (size, goal) in sizes.items()]
    keyed = [
        _case(f"stream under keys, {name}", size, 0.9, "keyed") for name, size in {"1 kB": 2**10, "1 MB": 2**20}.items()
    ]
    return plain + keyed


def _case(name: str, size: int, goal: float, keyed: str) -> Case:
    return Case(
        name,
        lambda seconds: measure("stream", size, seconds, keyed),
        lambda seconds: measure("raw", size, seconds, keyed),
        "messages/s",
        goal,
    )


def measure(kind: str, size: int, seconds: float, keyed: str = "") -> float:
    """Messages of `size` bytes per second that arrive; `kind` is stream or raw."""
    with TemporaryDirectory(prefix="srl") as folder, ExitStack() as stack, sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        paths = write_key_files(make_key_files(["actor", "learner"]), Path(folder)) if keyed else {}
        command = [sys.executable, "-P", "-m", "surreal.protocol.bench.stream"]
        children = []
        for end, role, number in (("receive", "learner", seconds), ("send", "actor", size)):
            arguments = [*command, f"{end}-{kind}", address, str(paths.get(role, "")), str(number)]
            child = stack.enter_context(subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True))
            stack.callback(child.kill)
            children.append(child)
        assert children[0].stdout
        return float(children[0].stdout.readline())


def _arrays(size: int) -> dict[str, np.ndarray]:
    return {f"array{i}": np.ones(size // 16, np.float32) for i in range(4)}


def _count(receive: Callable[[], object], seconds: float) -> None:
    """Print how often `receive` returns in a second, after it has done so for a while."""
    receive()
    began, count = time.monotonic(), 0
    while (now := time.monotonic()) < began + WARM * seconds:
        receive()
    began = now
    while (now := time.monotonic()) < began + seconds:
        receive()
        count += 1
    print(count / (now - began), flush=True)


def _node(name: str, address: str, key_file: str) -> Node:
    keys = Keys.read(Path(key_file)) if key_file else None
    return Node(name, 1, keys, {address: Access("learner", frozenset({"actor"}))})


def receive_stream(address: str, key_file: str, seconds: str) -> None:
    """Count what a StreamReceiver hands over."""
    _count(StreamReceiver(_node("learner/0", address, key_file), address, WINDOW).recv, float(seconds))


def send_stream(address: str, key_file: str, size: str) -> None:
    """Send until killed."""
    stream, arrays, i = StreamSender(_node("actor/0", address, key_file), address, WINDOW), _arrays(int(size)), 0
    while True:
        stream.send(arrays, {"i": i, "k": 7})
        i += 1


def receive_raw(address: str, key_file: str, seconds: str) -> None:
    """Count what a PULL socket hands over, with its arrays rebuilt."""
    pull = zmq.Context().socket(zmq.PULL)
    pull.setsockopt(zmq.RCVHWM, QUEUE)
    if key_file:
        pull.setsockopt(zmq.CURVE_SERVER, 1)
        pull.setsockopt(zmq.CURVE_SECRETKEY, Keys.read(Path(key_file)).secret)
    pull.bind(address)

    def receive() -> dict[str, np.ndarray]:
        parts = pull.recv_multipart(copy=False)
        struct.unpack("<qq", parts[0].bytes)
        return {f"array{i}": np.frombuffer(part.buffer, np.float32) for i, part in enumerate(parts[1:])}

    _count(receive, float(seconds))


def send_raw(address: str, key_file: str, size: str) -> None:
    """Send until killed."""
    push = zmq.Context().socket(zmq.PUSH)
    push.setsockopt(zmq.SNDHWM, QUEUE)
    if key_file:
        keys = Keys.read(Path(key_file))
        push.setsockopt(zmq.CURVE_SERVERKEY, keys.public["learner"])
        push.setsockopt(zmq.CURVE_PUBLICKEY, keys.public["actor"])
        push.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    push.connect(address)
    arrays, i = [array.data for array in _arrays(int(size)).values()], 0
    while True:
        push.send_multipart([struct.pack("<qq", i, 7), *arrays], copy=False)
        i += 1


ENDS = {
    "receive-stream": receive_stream,
    "send-stream": send_stream,
    "receive-raw": receive_raw,
    "send-raw": send_raw,
}

if __name__ == "__main__":
    ENDS[sys.argv[1]](*sys.argv[2:])
