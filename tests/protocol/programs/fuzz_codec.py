"""Decodes damaged packets and prints what came of it: how many were packets, how many malformed, the most CPU seconds
that one took, and by how many MiB the process grew.

usage: fuzz_codec.py SEED COUNT
"""

import json
import resource
import sys
import time
from collections.abc import Iterator

import numpy as np

from surreal.protocol.wire.batches import decode_batch, encode_batch, is_batch
from surreal.protocol.wire.codec import decode, encode_body, encode_prefix
from surreal.protocol.wire.limits import MAX_NESTING, MalformedError
from surreal.protocol.wire.packet import Kind

BLOCK = 2**20
"""Bytes that are damaged at a time."""


def seeds() -> list[list[bytes]]:
    """Honest packets with something of everything."""
    chance = np.random.default_rng(7)
    nested: object = 1
    for _ in range(MAX_NESTING // 2 - 1):
        nested = [nested, {"k": nested}]
    metas: list[dict[str, object]] = [
        {},
        {"i": -1, "f": 0.5, "s": "text", "b": b"bytes", "n": None, "l": [1, [2]], "t": True},
        {"nested": nested},
        {str(i): i for i in range(100)},
    ]
    arrays: list[dict[str, np.ndarray]] = [
        {},
        {"x": chance.normal(size=(3, 4)), "n": np.arange(5), "b": np.ones(2, bool)},
        {"scalar": np.ones((), np.float32), "empty": np.zeros((0, 7)), "deep": np.zeros((1,) * 8)},
        {"large": chance.normal(size=2100).astype(np.float32), "small": np.arange(3, dtype=np.uint8)},
        {str(i): np.zeros(1) for i in range(40)},
    ]
    bodies = [encode_body("actor/3", 2, (1, 9), meta, each) for meta in metas for each in arrays]
    packets = [
        [encode_prefix(kind, 1, 2**40, 7, 3) + body.body, *(frame.tobytes() for frame in body.frames)]
        for kind in set(Kind) - {Kind.BATCH}
        for body in bodies
    ]
    small = [body.body for body in bodies if not body.frames]
    mixed = [[encode_batch(1, 2**40, 7, 3, small[:count])] for count in range(1, 9)]
    return packets + mixed + [[encode_batch(1, 2**40, 7, 3, [body] * 3)] for body in small]


def mutants(seed: int, count: int) -> Iterator[list[bytes]]:
    """`count` packets with damaged headers: bytes replaced, bits flipped, ends cut, parts moved, frames lost."""
    chance = np.random.default_rng(seed)
    packets = seeds()
    while count > 0:
        header, *frames = packets[chance.integers(len(packets))]
        rows = min(count, max(16, BLOCK // len(header)))
        count -= rows
        block = np.tile(np.frombuffer(header, np.uint8), (rows, 1))
        length = block.shape[1]
        every = np.arange(rows)
        for _ in range(int(chance.integers(1, 4))):
            # as often near the beginning, where every byte means something, as anywhere
            at = chance.integers(0, np.where(chance.random(rows) < 0.5, min(length, 96), length))
            old = block[every, at]
            new = chance.integers(0, 256, rows, dtype=np.uint8)
            flipped = old ^ (1 << chance.integers(0, 8, rows)).astype(np.uint8)
            extreme = chance.choice(np.array([0, 1, 127, 128, 254, 255], np.uint8), rows)
            block[every, at] = np.choose(chance.integers(0, 3, rows), [new, flipped, extreme])
        data = block.tobytes()
        ends = np.where(chance.random(rows) < 0.8, length, chance.integers(0, length + 1, rows))
        lost = chance.random(rows) < 0.05
        for row in range(rows):
            start = row * length
            yield [data[start : start + ends[row]], *(frames[:-1] if lost[row] else frames)]


def peak() -> int:
    """The most memory that this process has had, in MiB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used // 2**20 if sys.platform == "darwin" else used // 2**10


def decode_all(seed: int, count: int) -> tuple[int, int, float, int]:
    """(packets, malformed, the longest in seconds, growth in MiB) of `count` mutants."""
    good = bad = 0
    longest = 0.0
    for packet in mutants(seed, 50_000):  # what the codec keeps for itself is there before we measure
        attempt(packet)
    before = peak()
    for packet in mutants(seed, count):
        began = time.thread_time()
        if attempt(packet):
            good += 1
        else:
            bad += 1
        longest = max(longest, time.thread_time() - began)
    return good, bad, longest, peak() - before


def decoded(packet: list[bytes]) -> list[dict[str, np.ndarray]]:
    """The arrays of each message in these frames, made at once or later."""
    if is_batch(packet[0]):
        return [message.arrays for message in decode_batch(packet).batch]
    later = decode(packet, later=True)
    return [decode(packet).arrays, later.inline.arrays() if later.inline else later.arrays]


def attempt(packet: list[bytes]) -> bool:
    """Decode as a port does. Any error but MalformedError ends the test."""
    try:
        arrays = decoded(packet)
    except MalformedError:
        return False
    for each in arrays:
        for array in each.values():
            array.tobytes()  # the view lies within its frame
            assert not array.flags.writeable
    return True


if __name__ == "__main__":
    assert all(attempt(packet) for packet in seeds())
    json.dump(decode_all(*map(int, sys.argv[1:])), sys.stdout)
