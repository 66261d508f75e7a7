"""The codec keeps what it is given and refuses everything else, without large allocations or errors of its own."""

import random
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from surreal.protocol.wire import limits
from surreal.protocol.wire.batches import decode_batch, encode_batch
from surreal.protocol.wire.codec import decode, encode_body, encode_prefix
from surreal.protocol.wire.limits import MalformedError, ProtocolVersionError
from surreal.protocol.wire.packet import Kind, Message, Packet

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
ARRAYS = st.dictionaries(
    st.text(max_size=20),
    st.sampled_from(sorted(limits.DTYPES)).flatmap(
        lambda code: hnp.arrays(limits.DTYPES[code], hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9))
    ),
    max_size=6,
)


def frames_of(kind: Kind = Kind.DATA, seq: int = 0, **body: Any) -> list[bytes]:
    """A packet as the bytes that travel."""
    encoded = encode_body(**{"sender": "actor/0", "incarnation": 1, **body})
    return [encode_prefix(kind, 0, 5, seq, 0) + encoded.body, *(array.tobytes() for array in encoded.frames)]


@given(
    kind=st.sampled_from([kind for kind in Kind if kind != Kind.BATCH]),
    numbers=st.tuples(st.integers(0, 2**32 - 1), *[st.integers(0, 2**63 - 1)] * 3),
    version=st.tuples(*[st.integers(0, 2**63 - 1)] * 2),
    meta=st.dictionaries(st.text(), PLAIN, max_size=5),
    arrays=ARRAYS,
)
@settings(deadline=None)
def test_what_is_encoded_is_decoded_unchanged(
    kind: Kind,
    numbers: tuple[int, int, int, int],
    version: tuple[int, int],
    meta: dict[str, Any],
    arrays: dict[str, np.ndarray],
) -> None:
    try:
        encoded = encode_body("actor/3", 7, version, meta, arrays)
    except MalformedError:
        return  # nested too deeply: the sender is told, nothing travels
    packet = decode([encode_prefix(kind, *numbers) + encoded.body, *(array.tobytes() for array in encoded.frames)])
    assert packet[:5] == (kind, *numbers)
    assert (packet.sender, packet.incarnation, packet.version) == ("actor/3", 7, version)
    assert repr(packet.meta) == repr(meta)  # repr: NaN is not equal to itself
    assert list(packet.arrays) == list(arrays)
    for name, array in arrays.items():
        assert packet.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(packet.arrays[name], array)


@given(st.lists(st.tuples(st.dictionaries(st.text(), PLAIN, max_size=3), ARRAYS), min_size=1, max_size=5))
@settings(deadline=None)
def test_a_batch_gives_back_its_messages_in_order(messages: list[tuple[dict[str, Any], dict[str, np.ndarray]]]) -> None:
    try:
        encoded = [encode_body("actor/3", 7, (1, 2), meta, arrays) for meta, arrays in messages]
    except MalformedError:
        return
    bodies = [each.body for each in encoded if not each.frames]
    frame = encode_batch(4, 5, 6, 3, bodies)
    if not bodies or len(frame) > limits.MAX_HEADER_BYTES:
        with pytest.raises(MalformedError):
            decode_batch([frame])
        return
    packet, expected = decode_batch([frame]), [alone(body, 6 + i) for i, body in enumerate(bodies)]
    assert packet[:7] == (Kind.BATCH, 4, 5, 6, 3, "actor/3", 7)
    assert repr(packet.batch) == repr(expected)
    assert packet.size == sum(message.nbytes for message in expected)
    assert all(array.flags.aligned for message in packet.batch for array in message.arrays.values())


def alone(body: bytes, seq: int) -> Message:
    """A message as it comes outside a batch."""
    packet = decode([encode_prefix(Kind.DATA, 4, 5, seq, 3) + body])
    return Message(packet.sender, packet.incarnation, seq, packet.version, packet.meta, packet.arrays)


def alike(number: int) -> bytes:
    """One of several messages that differ in their numbers only."""
    arrays: dict[str, Any] = {
        "x": np.full((3, 4), number, np.float32),
        "n": np.array(number, np.int64),
        "flags": np.arange(5) > number,
    }
    return encode_body("actor/3", 7, (1, number), {"i": number}, arrays).body


def same(number: int) -> bytes:
    """One of several messages that differ in the data of their arrays only."""
    arrays: dict[str, Any] = {
        "x": np.full((3, 4), number, np.float32),
        "n": np.array(number),
        "b": np.arange(5) > number,
    }
    return encode_body("actor/3", 7, (1, 2), None, arrays).body


def test_messages_that_differ_in_data_alone_are_viewed_at_once_and_are_the_same() -> None:
    found = decode_batch([encode_batch(4, 5, 6, 3, [same(number) for number in range(7)])]).batch
    assert repr(found) == repr([alone(same(number), 6 + number) for number in range(7)])
    assert not any(array.flags.writeable for message in found for array in message.arrays.values())
    assert len({id(message.arrays["x"].base) for message in found}) == 1
    assert len({id(message.meta) for message in found}) == 7


@pytest.mark.parametrize("make", [alike, same], ids=["meta and version differ", "data alone differs"])
@pytest.mark.parametrize("place", range(0, 88, 3))
def test_a_batch_of_which_one_message_is_broken_is_malformed_or_as_one_by_one(
    place: int, make: Callable[[int], bytes]
) -> None:
    bodies = [bytearray(make(number)) for number in range(3)]
    bodies[1][place] ^= 0x80
    frame = encode_batch(4, 5, 6, 3, [bytes(body) for body in bodies])
    try:
        expected = [alone(bytes(body), 6 + number) for number, body in enumerate(bodies)]
        assert len({message[:2] for message in expected}) == 1
    except (MalformedError, AssertionError):
        with pytest.raises(MalformedError):
            decode_batch([frame])
    else:
        found = decode_batch([frame]).batch
        assert repr(found) == repr(expected)
        assert not any(array.flags.writeable for message in found for array in message.arrays.values())


def batch(*messages: tuple[str, bytes]) -> bytes:
    return encode_batch(0, 5, 0, 0, [encode_body(sender, 1).body + more for sender, more in messages])


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [batch()],
        [batch(("a", b""))[:-1]],
        [batch(("a", b""), ("b", b""))],
        [batch(("a", bytes(8)))],
        [batch(("a", b"")) + bytes(8)],
        [batch(("a", b"")) + b"\xff" * 32],
        [batch(("a", b"")), b""],
        [batch(*[("a", b"")] * 2000)],
        [encode_batch(0, 5, 2**63 - 1, 0, [encode_body("a", 1).body])],
        [encode_batch(0, 5, 0, 2**63, [encode_body("a", 1).body])],
        [encode_batch(0, 5, 0, 0, [encode_body("a", 1, arrays={"x": np.zeros(9000)}).body])],
        [encode_batch(0, 5, 0, 0, [bytes(24)])],
    ],
)
def test_what_is_no_batch_is_malformed(frames: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        decode_batch(frames)


def test_decoded_arrays_are_read_only_views_on_the_frame() -> None:
    frames = frames_of(arrays={"big": np.arange(10_000.0), "small": np.arange(3)})
    arrays = decode(frames).arrays
    assert np.shares_memory(arrays["big"], np.frombuffer(frames[1]))
    assert not arrays["big"].flags.writeable and not arrays["small"].flags.writeable


def test_arrays_that_are_not_contiguous_arrive_as_they_look() -> None:
    array = np.arange(40_000.0).reshape(200, 200).T[::2]
    np.testing.assert_array_equal(decode(frames_of(arrays={"a": array})).arrays["a"], array)


def test_large_arrays_are_not_copied_by_the_sender() -> None:
    array = np.zeros(10_000)
    assert encode_body("a", 0, arrays={"a": array}).frames[0] is array


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"arrays": {"a": np.array(["text"])}}, "dtype <U4"),
        ({"arrays": {"a": np.array([object()])}}, "dtype object"),
        ({"arrays": {"a": np.zeros(3, ">f4")}}, "dtype >f4"),
        ({"arrays": {"a": np.zeros((1,) * 9)}}, "9 dimensions"),
        ({"arrays": {1: np.zeros(1)}}, "array 1"),
        ({"arrays": {f"a{i}": np.zeros(2000) for i in range(16)}}, "more than 15 arrays"),
        ({"arrays": {f"a{i}": np.zeros(0) for i in range(257)}}, "257 arrays"),
        ({"arrays": {"a": np.zeros(limits.MAX_PACKET_BYTES + 1, np.int8)}}, "is larger"),
        ({"arrays": {f"a{i}": np.zeros(limits.MAX_FRAME_BYTES - 1, np.int8) for i in range(3)}}, "send several"),
        ({"meta": {"a": np.int64(1)}}, "int64"),
        ({"meta": {"a": {1: 2}}}, "no string"),
        ({"meta": {"a": 2**64}}, "cannot be sent"),
        ({"meta": {"a": list(range(2000))}}, "2000 items"),
        ({"meta": {"a": [[[[[[[[]]]]]]]]}}, "depth 9"),
        ({"meta": {"a": "x" * 70_000}}, "header has"),
        ({"version": (1, -1)}, "is no version"),
        ({"incarnation": 2**63}, "is no int"),
        ({"sender": ""}, "no name"),
        ({"arrays": {"\ud800": np.zeros(1)}}, "cannot be sent"),
        ({"arrays": {"a": np.zeros((2**40, 0), np.int8)}}, "is larger"),
        ({"arrays": {"x" * 250 + str(i): np.zeros(1) for i in range(99)}}, "names and shapes"),
    ],
)
def test_the_sender_is_told_what_the_receiver_would_refuse(body: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        frames_of(**body)


def header(schema: Any, meta: bytes = b"", version: int = 0, inline: bytes = b"") -> bytes:
    """A header whose parts nobody has checked."""
    packed = schema if isinstance(schema, bytes) else msgpack.packb(schema)
    head = encode_prefix(Kind.DATA, 0, 5, 0, 0) + struct.pack("<QQII", 0, version, len(packed), len(meta))
    head += packed + meta
    return head + bytes(-len(head) % 8) + inline


def lying(code: Any, shape: Any, inline: bytes | None = None) -> bytes:
    """A header whose only array claims a dtype and a shape."""
    return header(["a", 1, [["x", code, shape, inline is not None]]], inline=inline or b"")


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b""],
        [b"SR"],
        [b"GET / HTTP/1.1\r\n\r\n"],
        [encode_prefix(Kind.DATA, 0, 5, 0, 0)],
        [header(b"\xc1")],
        [header(["a", 1, []])[:-1]],
        [encode_prefix(Kind.DATA, 0, 5, 2**63, 0) + encode_body("a", 0).body],
        [struct.pack("<2sBBIQQQ", b"SR", limits.PROTOCOL, 99, 0, 0, 0, 0) + encode_body("a", 0).body],
        [frames_of()[0] + b"\0"],
        [frames_of()[0] + b"\0" * limits.MAX_HEADER_BYTES],
        [frames_of()[0], b"a frame too much"],
        [frames_of()[0]] + [b""] * 16,
        [encode_prefix(Kind.DATA, 0, 5, 0, 0) + struct.pack("<QQII", 0, 0, 2**32 - 1, 2**32 - 1)],
        [header(["a", 1, [], 7])],
        [header(["a", 1])],
        [header(["", 1, []])],
        [header(["a" * 257, 1, []])],
        [header([b"a", 1, []])],
        [header(["a", True, []])],
        [header(["a", -1, []])],
        [header(["a", 1, []], version=2**63)],
        [header(["a", 1, {}])],
        [header(["a", 1, [[]]])],
        [header(["a", 1, [], {"t": msgpack.Timestamp(1)}])],
        [header(["a", 1, []], msgpack.packb([]))],
        [header(["a", 1, []], msgpack.packb({1: 2}))],
        [header(["a", 1, []], b"\x81\xa1a")],
        [header(["a", 1, []], msgpack.packb({"t": msgpack.Timestamp(1)}))],
        [header(["a", 1, []], msgpack.packb({"x": msgpack.ExtType(3, b"")}))],
        [header(["a", 1, [["x", "<f4", [1], True]] * 2], inline=bytes(16))],
        [header(["a", 1, [["x", "<f4", [1], 1]]], inline=bytes(8))],
        [lying("<f4", [2]), b"1234"],
        [lying("<f4", [2], b"1234")],
        [lying("<f4", [2])],
        [lying("|O", [1], bytes(8))],
        [lying("<U1", [1], bytes(8))],
        [lying(["<f4"], [1], bytes(8))],
        [lying("<f4", [-1, -1], bytes(8))],
        [lying("<f4", [True], bytes(8))],
        [lying("<f4", [1.0], bytes(8))],
        [lying("<f4", 1, bytes(8))],
        [lying("<f4", [1] * 9, bytes(8))],
        [lying("<f4", [2**62, 4], b"")],
        [lying("<f4", [2**40, 2**40, 0], b"")],
        [lying("<f4", [2**62, 2**62, 0], b"")],
    ],
)
def test_what_is_no_packet_is_malformed(frames: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        decode(frames)


def test_another_protocol_version_is_named_beside_ours() -> None:
    frames = frames_of()
    frames[0] = frames[0][:2] + bytes([limits.PROTOCOL + 1]) + b"whatever comes then"
    with pytest.raises(
        ProtocolVersionError, match=f"protocol {limits.PROTOCOL + 1}, this process speaks {limits.PROTOCOL}"
    ):
        decode(frames)


@pytest.mark.parametrize(
    "claim", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdc\x03\xff"]
)
def test_a_few_bytes_cannot_claim_much_memory(claim: bytes) -> None:
    claims = claim * (60_000 // len(claim))
    tracemalloc.start()
    try:
        for attack in (header(claims), header(["a", 1, []], claims)):
            with pytest.raises(MalformedError):
                decode([attack])
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
    finally:
        tracemalloc.stop()


def mutate(frames: list[bytes], chance: random.Random) -> list[bytes]:
    """Some frames with a few bytes changed, cut or added, or frames dropped, repeated or swapped."""
    frames = list(frames)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(frames)) if frames else 0
        frame = bytearray(frames[at]) if frames else bytearray()
        place = chance.randrange(min(len(frame), 400)) if frame else 0
        match chance.randrange(7):
            case 0 if frame:
                frame[place] = chance.choice((0, 0x7F, 0x80, 0xC1, 0xFF, chance.randrange(256)))
            case 1 if frame:
                frame[place] ^= 1 << chance.randrange(8)
            case 2:
                del frame[place : place + chance.randint(1, 9)]
            case 3:
                frame[place:place] = chance.randbytes(chance.randint(1, 9))
            case 4:
                frame = frame[:place]
            case 5:
                frames.insert(at, bytes(frame))
            case _ if frames:
                frames.append(frames.pop(at))
        if frames:
            frames[at] = bytes(frame)
    return frames


def test_a_hundred_thousand_mutated_packets_are_decoded_or_refused() -> None:
    chance = random.Random(20261121)
    samples = [
        frames_of(arrays={"obs": np.zeros((8, 40), np.float32), "done": np.zeros(8, bool)}, meta={"return": 1.5}),
        frames_of(arrays={"w": np.zeros(3000)}, meta={"episodes": [[1, 2.0], {"a": None}]}, version=(2, 99)),
        frames_of(Kind.BEAT, meta={"who": "pid 1 on host", "stopping": False}),
        frames_of(Kind.ACK, seq=17),
    ]
    refused = 0
    for _ in range(100_000):
        frames = mutate(chance.choice(samples), chance)
        try:
            packet = decode(frames)
        except MalformedError:
            refused += 1
        else:
            assert isinstance(packet, Packet)
            assert sum(array.nbytes for array in packet.arrays.values()) <= sum(map(len, frames))
    assert 50_000 < refused < 100_000  # most are broken; some mutations hit a number or an array's content
