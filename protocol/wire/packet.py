"""Packets, and the messages that a channel hands to its reader."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from surreal.protocol.wire.schema import Schema, Signature

Version = tuple[int, int]
"""(epoch, version). The epoch is the incarnation of the publisher, so versions grow over its restarts too."""


class Message(NamedTuple):
    """Named arrays with a little plain data, as one process sent them. The arrays are read-only views on the wire's
    memory: copy what has to be changed."""

    sender: str
    incarnation: int
    seq: int
    """Stream: counts this sender's messages from 0. Broadcast: the version again."""
    version: Version
    meta: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(array.nbytes for array in self.arrays.values())


class Kind(IntEnum):
    """The purpose of a packet."""

    DATA = 1
    """Stream: a message."""
    PROBE = 2
    """Stream: 'the next message will be `seq`; what have you got?'"""
    ACK = 3
    """Stream: 'I have everything before `seq`'."""
    LOST = 4
    """Stream: 'a later one came, but I miss `seq`: send again from there'."""
    REFUSED = 5
    """Any channel: 'I will not talk to you', with the reason in meta['reason']."""
    GET = 6
    """Broadcast: 'send me the first value newer than `version`'."""
    VALUE = 7
    """Broadcast: a message."""
    BEAT = 8
    """Control: 'I am alive'."""
    STATE = 9
    """Control: the answer to a beat: go on, or stop and why."""
    LEAVE = 10
    """Control: 'I end now'."""
    REQUEST = 11
    """Service: a question."""
    REPLY = 12
    """Service: its answer."""
    BATCH = 13
    """Stream: several small messages, `seq` and those that follow it."""


class Inline(NamedTuple):
    """The memory of arrays that travel inside a header."""

    header: bytes | memoryview
    start: int
    """Place of the first one."""
    schema: Schema

    def arrays(self) -> dict[str, np.ndarray]:
        """Return read-only views on the memory, by name."""
        header, start, schema = self
        return {
            name: np.ndarray(shape, dtype, header, start + offset) for name, dtype, shape, _, offset in schema.fields
        }


class Packet(NamedTuple):
    """A decoded packet. What session, round, seq and base mean depends on its kind, see docs/wire.md."""

    kind: int
    round: int
    session: int
    seq: int
    base: int
    sender: str
    incarnation: int
    version: Version
    meta: dict[str, Any]
    arrays: dict[str, np.ndarray]
    size: int
    """Bytes of all arrays."""
    signature: Signature = ()
    """Name, dtype and shape of each array: arrays of packets with the same can be stacked."""
    inline: Inline | None = None
    """Places of arrays that were not made yet, because the reader wants those of many packets at once."""
    batch: Sequence[Message] = ()
    """Messages of a packet of kind BATCH."""


class Encoded(NamedTuple):
    """A packet without its prefix, ready to be transmitted several times."""

    body: bytes
    """The rest of the header."""
    frames: list[np.ndarray]
    """The arrays that travel as frames of their own."""
    size: int
    """Bytes of all arrays."""
