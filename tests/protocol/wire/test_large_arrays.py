"""Arrays beyond the limit of a frame: split below the channels, joined again, and never trusted."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from surreal.protocol.broadcast.publisher import Publisher
from surreal.protocol.broadcast.relay import Relay
from surreal.protocol.broadcast.subscriber import Subscriber
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.node import Node
from surreal.protocol.wire import codec, limits, schema
from surreal.protocol.wire.codec import decode, encode_body, encode_prefix
from surreal.protocol.wire.limits import MalformedError, frame_sizes
from surreal.protocol.wire.packet import Kind

MakeNode = Callable[..., Node]
FRAME = 32 * 1024


@pytest.fixture
def small_frames(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Frames of 32 KiB, so that all sizes around them can be tried."""
    for module in (limits, codec):
        monkeypatch.setattr(module, "MAX_FRAME_BYTES", FRAME)
    for module in (limits, schema):
        monkeypatch.setattr(module, "MAX_PACKET_BYTES", 512 * 1024)
    caches = (schema.layout, schema._parse_small, schema._parse_large)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def packed(**arrays: np.ndarray) -> list[bytes]:
    """The frames of a message, as bytes."""
    body, frames, _ = encode_body("actor/0", 1, arrays=arrays)
    return [encode_prefix(Kind.DATA, 0, 0, 0, 0) + body, *(bytes(frame) for frame in map(np.ascontiguousarray, frames))]


@pytest.mark.usefixtures("small_frames")
@pytest.mark.parametrize("size", [FRAME - 8, FRAME, FRAME + 8, 2 * FRAME, 2 * FRAME + 8, 13 * FRAME])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.float64, np.bool_])
def test_an_array_of_any_size_is_the_same_at_the_other_end(size: int, dtype: type) -> None:
    items = size // np.dtype(dtype).itemsize
    array: np.ndarray = np.random.default_rng(1).integers(0, 2, (items // 2, 2)).astype(dtype)
    frames = packed(first=np.arange(20_000, dtype=np.uint8), large=array, last=np.ones(3))
    assert [len(frame) for frame in frames[2:]] == frame_sizes(array.nbytes)
    packet = decode(frames)
    assert packet.arrays["large"].dtype == array.dtype and (packet.arrays["large"] == array).all()
    assert (packet.arrays["first"] == np.arange(20_000, dtype=np.uint8)).all() and packet.arrays["last"].sum() == 3
    assert not packet.arrays["large"].flags.writeable
    assert packet.size == array.nbytes + 20_000 + 24


@pytest.mark.usefixtures("small_frames")
@pytest.mark.parametrize(
    "change",
    [
        lambda header, a, b, c: [header, a, b],
        lambda header, a, b, c: [header, a, b, c, c],
        lambda header, a, b, c: [header, a, b, c + b"12345678"],
        lambda header, a, b, c: [header, a[:-8], b + a[-8:], c],
        lambda header, a, b, c: [header, a + b[:8], b[8:], c],
        lambda header, a, b, c: [header, b"", a, b + c],
    ],
)
def test_frames_that_do_not_fit_the_schema_are_refused_before_memory_is_taken(
    change: Callable[..., list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = packed(large=np.zeros(2 * FRAME + 800, np.uint8))
    assert len(frames) == 4

    def empty(*_: object) -> None:
        raise AssertionError("memory is taken")

    monkeypatch.setattr(np, "empty", empty)
    with pytest.raises(MalformedError):
        decode(change(*frames))


@pytest.mark.usefixtures("small_frames")
def test_the_limits_of_a_packet_remain() -> None:
    with pytest.raises(ValueError, match="more than 15 arrays"):
        packed(large=np.zeros(15 * FRAME + 1, np.uint8))
    with pytest.raises(ValueError, match="larger than 524288 bytes"):
        packed(large=np.zeros(17 * FRAME, np.uint8))
    with pytest.raises(ValueError, match="bytes in one message, the limit is"):
        packed(a=np.zeros(7 * FRAME, np.uint8), b=np.zeros(8 * FRAME, np.uint8))


def test_an_array_of_72_mb_goes_over_a_stream_and_a_broadcast_with_a_relay(make_node: MakeNode, folder: Path) -> None:
    weights = np.arange(18_000_000, dtype=np.float32)
    at = f"ipc://{folder}/"
    learner, actor, between = make_node("learner/0"), make_node("actor/0"), make_node("weights-relay/0")
    receiver, sender = StreamReceiver(learner, at + "stream", window=2), StreamSender(actor, at + "stream", window=2)
    sent = threading.Thread(target=sender.send, args=({"weights": weights},))
    sent.start()
    message = receiver.recv(timeout=120)
    assert message and (message.arrays["weights"] == weights).all()
    publisher, relay = Publisher(learner, at + "weights"), Relay(between, at + "weights", at + "relay")
    subscriber = Subscriber(actor, at + "relay")
    publisher.publish({"weights": weights}, {}, 1)
    assert (subscriber.wait(timeout=120).arrays["weights"] == weights).all()
    sent.join()
    for channel in (sender, receiver, subscriber, relay, publisher):
        channel.close()
