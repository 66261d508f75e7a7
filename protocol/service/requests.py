"""Requests as a server gathers them, alone or as batches that can be stacked, and their answers."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from surreal.protocol.service.rows import Outcome, encode_rows, stack, stack_inline
from surreal.protocol.transport.sessions import Holder
from surreal.protocol.wire.codec import encode_body
from surreal.protocol.wire.packet import Encoded, Inline, Packet, Version

Arrays = dict[str, np.ndarray]

MAX_REASON = 4096
"""Characters of the text that tells a client why its call failed."""


class Responder(NamedTuple):
    """The server's way back to its clients."""

    sender: str
    """Name of the server's process."""
    incarnation: int
    send: "Callable[[list[Request], list[Encoded], int], None]"
    """Sends answer i to the client of request i, with an Outcome."""


class Request:
    """A question, which `reply` or `fail` answers: the first of them counts."""

    __slots__ = ("_arrays", "_packet", "_responder", "client", "arrived", "deadline", "seq")

    def __init__(self, responder: Responder, client: "Client", packet: Packet, arrived: float) -> None:
        self._responder, self.client, self._packet, self.arrived = responder, client, packet, arrived
        self.seq = packet.seq
        self._arrays: Arrays | None = None
        self.deadline = arrived + packet.round / 1000
        """Monotonic seconds; afterwards the client no longer waits."""

    @property
    def sender(self) -> str:
        """The client's name."""
        return self._packet.sender

    @property
    def incarnation(self) -> int:
        """The client's incarnation, which grows with its starts."""
        return self._packet.incarnation

    @property
    def meta(self) -> dict[str, Any]:
        """The plain data beside the arrays."""
        return self._packet.meta

    @property
    def arrays(self) -> Arrays:
        """Read-only views on the wire's memory."""
        if self._arrays is None:
            self._arrays = self.inline.arrays() if self.inline else self._packet.arrays
        return self._arrays

    @property
    def inline(self) -> Inline | None:
        """The memory of the arrays, where all lie in one piece; None where they came as arrays."""
        return self._packet.inline

    @property
    def size(self) -> int:
        """Bytes of the arrays."""
        return self._packet.size

    def reply(
        self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any] | None = None, version: Version = (0, 0)
    ) -> None:
        """Answer. Raises ValueError for data that no message can carry."""
        sender, incarnation, send = self._responder
        send([self], [encode_body(sender, incarnation, version, meta, arrays)], Outcome.ANSWERED)

    def fail(self, reason: str) -> None:
        """Have the client's call raise CallError with this text."""
        text = reason[:MAX_REASON].encode("utf-8", "replace").decode()
        sender, incarnation, send = self._responder
        send([self], [encode_body(sender, incarnation, meta={"reason": text})], Outcome.FAILED)


class Batch:
    """Requests whose arrays have the same names, dtypes and shapes, in the order in which they came."""

    def __init__(self, responder: Responder, requests: list[Request], ordered: bool = False) -> None:
        """Keep requests. `ordered`: their arrays are known to lie in one order."""
        self._responder, self._ordered = responder, ordered
        self.requests = requests

    @classmethod
    def of(cls, requests: "Iterable[Request]") -> "Batch":
        """Return requests of one server, at least one, as a batch."""
        found = list(requests)
        return cls(found[0]._responder, found)

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)

    @cached_property
    def arrays(self) -> Arrays:
        """The requests' arrays, stacked: row i is of request i. A copy; empty for an empty batch."""
        blocks = [request.inline for request in self.requests if request.inline]
        if self._ordered and len(blocks) == len(self):
            return stack_inline(blocks)
        return stack([request.arrays for request in self.requests]) if self.requests else {}

    def reply(
        self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any] | None = None, version: Version = (0, 0)
    ) -> None:
        """Answer request i with row i of every array, and all requests with `meta`.

        Raises ValueError for another number of rows, and for data that no message can carry.
        """
        if self.requests:
            sender, incarnation, send = self._responder
            send(self.requests, encode_rows(sender, incarnation, version, meta, arrays, len(self)), Outcome.ANSWERED)

    def fail(self, reason: str) -> None:
        """Have the calls that are not answered yet raise CallError with this text."""
        for request in self.requests:
            request.fail(reason)


class Client:
    """One session of a client, with its requests that are not answered yet."""

    __slots__ = ("holder", "open")

    def __init__(self, holder: Holder) -> None:
        self.holder = holder
        self.open: dict[int, Request] = {}

    def forget_expired(self, now: float) -> None:
        """Drop the requests whose time is over."""
        self.open = {seq: request for seq, request in self.open.items() if request.deadline > now}
