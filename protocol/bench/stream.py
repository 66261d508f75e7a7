"""One sender, one receiver, two processes: a stream beside raw PUSH/PULL.

Both carry the same message, four float32 arrays and two ints. Raw is multipart with copy=False, no acknowledgements,
arrays rebuilt from the frames: the ceiling of what pyzmq can do. Its two queues hold 64 messages each, so our window,
which counts what is on both sides, is 128.
"""

import struct
import sys

import numpy as np

from surreal.protocol.bench.harness import Case
from surreal.protocol.bench.pair import WINDOW, count, node, pair, raw_pull, raw_push
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender

MODULE = "surreal.protocol.bench.stream"


def cases() -> list[Case]:
    """Return the cases of `surreal bench protocol` on streams."""
    sizes = {"1 kB": (2**10, 0.7), "16 kB": (2**14, 0.85), "256 kB": (2**18, 0.95), "4 MB": (2**22, 0.95)}
    plain = [_case(f"stream, {name}", size, goal) for name, (size, goal) in sizes.items()]
    keyed = [
        _case(f"stream under keys, {name}", size, 0.9, keyed=True)
        for name, size in {"1 kB": 2**10, "1 MB": 2**20}.items()
    ]
    return plain + keyed


def _case(name: str, size: int, goal: float, keyed: bool = False) -> Case:
    return Case(
        name,
        lambda seconds: measure("stream", size, seconds, keyed),
        lambda seconds: measure("raw", size, seconds, keyed),
        "messages/s",
        goal,
    )


def measure(kind: str, size: int, seconds: float, keyed: bool = False) -> float:
    """Return the messages of `size` bytes per second that arrive; `kind` is stream or raw."""
    with pair(MODULE, f"receive-{kind}", f"send-{kind}", size, seconds, keyed) as both:
        return both.rate()


def _arrays(size: int) -> dict[str, np.ndarray]:
    return {f"array{i}": np.ones(size // 16, np.float32) for i in range(4)}


def receive_stream(address: str, key_file: str, seconds: str) -> None:
    """Count what a StreamReceiver hands over."""
    count(StreamReceiver(node("learner/0", address, key_file), address, WINDOW).recv, float(seconds))


def send_stream(address: str, key_file: str, size: str) -> None:
    """Send until killed."""
    stream, arrays, i = StreamSender(node("actor/0", address, key_file), address, WINDOW), _arrays(int(size)), 0
    while True:
        stream.send(arrays, {"i": i, "k": 7})
        i += 1


def receive_raw(address: str, key_file: str, seconds: str) -> None:
    """Count what a PULL socket hands over, with its arrays rebuilt."""
    pull = raw_pull(address, key_file)

    def receive() -> dict[str, np.ndarray]:
        parts = pull.recv_multipart(copy=False)
        struct.unpack("<qq", parts[0].bytes)
        return {f"array{i}": np.frombuffer(part.buffer, np.float32) for i, part in enumerate(parts[1:])}

    count(receive, float(seconds))


def send_raw(address: str, key_file: str, size: str) -> None:
    """Send until killed."""
    push = raw_push(address, key_file)
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
