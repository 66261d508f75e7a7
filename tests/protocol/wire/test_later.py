"""Arrays that are made later are those that are made at once, and those of many packets stack in one piece."""

from typing import Any

import numpy as np

from surreal.protocol.service.rows import stack, stack_inline
from surreal.protocol.wire.codec import decode, encode_body, encode_prefix
from surreal.protocol.wire.packet import Inline, Kind


def frames(value: float, meta: dict[str, Any] | None = None, large: int = 0) -> list[bytes]:
    """A packet with two small arrays that lie in the header, and one of so many bytes."""
    arrays = {"x": np.full((3, 2), value, np.float32), "done": np.array(value > 0), "large": np.zeros(large, np.uint8)}
    encoded = encode_body("actor/3", 7, (1, 2), meta, arrays)
    return [encode_prefix(Kind.REQUEST, 0, 1, 2, 0) + encoded.body, *(frame.tobytes() for frame in encoded.frames)]


def test_arrays_that_are_made_later_are_the_same_and_stack_in_one_piece() -> None:
    packets = [frames(value) for value in range(5)]
    blocks = [decode(packet, later=True).inline for packet in packets]
    found = [block for block in blocks if isinstance(block, Inline)]
    whole = [decode(packet).arrays for packet in packets]
    assert repr([block.arrays() for block in found]) == repr(whole)
    stacked, expected = stack_inline(found), stack(whole)
    assert list(stacked) == list(expected)
    for name, array in expected.items():
        assert stacked[name].dtype == array.dtype and stacked[name].flags.writeable
        np.testing.assert_array_equal(stacked[name], array)


def test_all_but_the_arrays_of_a_packet_is_there_at_once() -> None:
    packet, whole = decode(frames(1.0, {"step": 1}), later=True), decode(frames(1.0, {"step": 1}))
    assert packet[:9] == whole[:9] and packet[10:12] == whole[10:12]
    assert packet.arrays == {} and whole.inline is None


def test_arrays_of_which_one_has_a_frame_of_its_own_are_made_at_once() -> None:
    packet = decode(frames(1.0, large=9000), later=True)
    assert packet.inline is None
    assert repr(packet.arrays) == repr(decode(frames(1.0, large=9000)).arrays)
