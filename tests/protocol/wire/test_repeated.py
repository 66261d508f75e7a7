"""A header that repeats is read as if it came for the first time, and any other is read whole."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surreal.protocol.service.rows import stack, stack_inline
from surreal.protocol.wire.batches import encode_batch
from surreal.protocol.wire.codec import decode, encode_body, encode_prefix
from surreal.protocol.wire.limits import MalformedError
from surreal.protocol.wire.packet import Inline, Kind, Packet
from surreal.protocol.wire.repeated import Usual, decode_usual, usual_of
from tests.protocol.wire.test_codec import ARRAYS

REQUEST = int(Kind.REQUEST)


def body(value: float, version: tuple[int, int] = (1, 2), meta: dict[str, Any] | None = None) -> bytes:
    """The part after the prefix of a message with two arrays that lie in the header."""
    arrays = {"x": np.full((3, 2), value, np.float32), "done": np.array(value > 0)}
    return encode_body("actor/3", 7, version, meta, arrays).body


def usual(frame: bytes) -> Usual | None:
    """What the sender of this frame may repeat."""
    return usual_of([frame], decode([frame]))


def known(frame: bytes) -> Usual:
    """The same, where there is something."""
    found = usual(frame)
    assert found is not None
    return found


def check_equal(packet: Packet | None, frame: bytes) -> None:
    """The packet is what a whole reading of the frame gives."""
    whole = decode([frame])
    assert packet is not None
    assert packet[:9] == whole[:9] and packet[10:12] == whole[10:12]
    assert repr(packet.arrays) == repr(whole.arrays)
    assert not any(array.flags.writeable for array in packet.arrays.values())


@given(
    kind=st.sampled_from([kind for kind in Kind if kind != Kind.BATCH]),
    numbers=st.tuples(st.integers(0, 2**32 - 1), *[st.integers(0, 2**63 - 1)] * 3),
    arrays=ARRAYS,
)
def test_a_repeated_header_is_read_as_a_new_one(
    kind: Kind, numbers: tuple[int, int, int, int], arrays: dict[str, np.ndarray]
) -> None:
    encoded = encode_body("actor/3", 7, (1, 2), None, arrays)
    first = encode_prefix(Kind.DATA, 0, 1, 2, 3) + encoded.body
    frames = [first, *(array.tobytes() for array in encoded.frames)]
    found = usual_of(frames, decode(frames))
    if encoded.frames:
        assert found is None
        return
    again = encode_prefix(kind, *numbers) + encoded.body
    check_equal(decode_usual(again, known(first), later=False), again)


def test_arrays_that_are_made_later_are_the_same_and_stack_in_one_piece() -> None:
    frames = [encode_prefix(REQUEST, 0, 1, n, 0) + body(n) for n in range(5)]
    packets = [decode_usual(frame, known(frames[0]), later=True) for frame in frames]
    blocks = [packet.inline for packet in packets if packet is not None]
    assert all(isinstance(block, Inline) for block in blocks) and len(blocks) == 5
    whole = [decode([frame]).arrays for frame in frames]
    assert repr([block.arrays() for block in blocks if block]) == repr(whole)
    stacked, expected = stack_inline([block for block in blocks if block]), stack(whole)
    assert list(stacked) == list(expected)
    for name, array in expected.items():
        assert stacked[name].dtype == array.dtype and stacked[name].flags.writeable
        np.testing.assert_array_equal(stacked[name], array)


@pytest.mark.parametrize(
    "other",
    [
        encode_prefix(REQUEST, 0, 1, 2, 0) + body(1.0, version=(1, 3)),
        encode_prefix(REQUEST, 0, 1, 2, 0) + body(1.0, meta={"a": 1}),
        encode_prefix(REQUEST, 0, 1, 2, 0) + body(1.0).replace(b"actor/3", b"actor/4"),
        encode_prefix(REQUEST, 0, 1, 2, 0) + body(1.0) + bytes(8),
        (encode_prefix(REQUEST, 0, 1, 2, 0) + body(1.0))[:-8],
        encode_batch(0, 1, 2, 0, [body(1.0), body(1.0)]),
    ],
    ids=["version", "meta", "sender", "longer", "shorter", "batch"],
)
def test_another_header_is_not_taken_for_the_usual_one(other: bytes) -> None:
    first = encode_prefix(REQUEST, 0, 1, 1, 0) + body(0.0)
    assert decode_usual(other, known(first), later=True) is None


@given(st.integers(0, 31), st.integers(0, 255))
def test_a_damaged_prefix_is_judged_as_in_a_whole_reading(place: int, value: int) -> None:
    first = encode_prefix(REQUEST, 0, 1, 1, 0) + body(0.0)
    damaged = bytearray(first)
    damaged[place] = value
    frame = bytes(damaged)
    packet = decode_usual(frame, known(first), later=False)
    try:
        decode([frame])
    except MalformedError:
        assert packet is None
        return
    check_equal(packet, frame)


def test_what_has_meta_is_never_usual() -> None:
    assert usual(encode_prefix(REQUEST, 0, 1, 1, 0) + body(0.0, meta={"step": 1})) is None
