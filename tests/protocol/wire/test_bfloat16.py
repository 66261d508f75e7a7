"""bfloat16: half the bytes, rounded to nearest; finite, infinite and no number each stay what they are."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from surreal.protocol.broadcast.publisher import Publisher
from surreal.protocol.broadcast.relay import Relay
from surreal.protocol.broadcast.subscriber import Subscriber
from surreal.protocol.transport.node import Node
from surreal.protocol.wire.codec import narrow, widen

MakeNode = Callable[..., Node]
Until = Callable[..., None]


def through(values: np.ndarray) -> np.ndarray:
    return widen(narrow(values))


def test_every_float32_goes_to_the_nearest_bfloat16_and_a_tie_to_the_even_one() -> None:
    chance = np.random.default_rng(5)
    bits = chance.integers(0, 2**32, 200_000, dtype=np.uint32)
    bits[::3] = bits[::3] & 0xFFFF0000 | 0x8000  # ties
    values = bits.view(np.float32)
    finite = values[np.isfinite(values)]
    below = finite.view(np.uint32) & np.uint32(0xFFFF0000)
    above = below + np.uint32(0x10000)  # away from zero
    low, high = (part.view(np.float32).astype(np.float64) for part in (below, above))
    high[np.isinf(high)] = np.copysign(2.0**128, high[np.isinf(high)])  # where the next one would be
    down, up = np.abs(finite - low), np.abs(high - finite)
    even = below >> 16 & 1 == 0
    wanted = np.where((down < up) | (down == up) & even, below, above)
    assert (through(finite).view(np.uint32) == wanted).all()


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, -2.5, math.inf, -math.inf, 2.0**-133, 3.3895314e38])
def test_what_a_bfloat16_can_be_is_kept_with_its_sign(value: float) -> None:
    (kept,) = through(np.array([value], np.float32))
    assert kept == np.float32(value) and math.copysign(1, kept) == math.copysign(1, value)


@pytest.mark.parametrize("bits", [0x7F800001, 0x7FC00000, 0x7FFFFFFF, 0xFF800001, 0xFFFFFFFF])
def test_no_number_stays_no_number(bits: int) -> None:
    assert np.isnan(through(np.array([bits], np.uint32).view(np.float32))).all()


def test_what_is_larger_than_the_largest_becomes_infinite() -> None:
    assert through(np.array([3.4028235e38, -3.4028235e38], np.float32)).tolist() == [math.inf, -math.inf]


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (2, 3, 4)])
def test_shapes_are_kept(shape: tuple[int, ...]) -> None:
    assert through(np.ones(shape, np.float32)).shape == shape
    assert through(np.ones((4, 6), np.float32)[::2, ::3]).tolist() == [[1, 1], [1, 1]]


def test_float32_travels_at_half_the_size_over_a_relay_too_and_other_arrays_as_they_are(
    make_node: MakeNode, folder: Path, address: str, until: Until
) -> None:
    publisher = Publisher(make_node("learner/0"), address, "bfloat16")
    relay = Relay(make_node("weights-relay/0"), address, f"ipc://{folder}/relay")
    readers = [Subscriber(make_node("actor/0"), address), Subscriber(make_node("actor/1"), f"ipc://{folder}/relay")]
    chance = np.random.default_rng(1)
    arrays: dict[str, np.ndarray] = {
        "big": chance.normal(size=(500, 40)).astype(np.float32),
        "scale": np.array(1.01, np.float32),
    }
    others: dict[str, np.ndarray] = {"double": chance.normal(size=10_000), "count": np.arange(3)}
    publisher.publish({**arrays, **others}, {}, 1)
    for reader in readers:
        received = reader.wait(timeout=120).arrays
        assert list(received) == ["big", "scale", "double", "count"]
        for name, array in arrays.items():
            assert received[name].dtype == np.float32 and not received[name].flags.writeable
            assert received[name].shape == array.shape
            assert (received[name] == through(array)).all()
        for name, array in others.items():
            assert received[name].dtype == array.dtype and (received[name] == array).all()
        assert reader.stats.bytes == 500 * 40 * 2 + 2 + 10_000 * 8 + 3 * 8
    until(lambda: publisher.stats.messages >= 2 and relay.stats.messages >= 1, "the counters")
