"""What a server gathers: requests, alone or several that can be stacked, and their answers."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from surreal.protocol.service.rows import Outcome, encode_rows, stack
from surreal.protocol.transport.sessions import Holder
from surreal.protocol.wire.packet import Packet, Version

if TYPE_CHECKING:
    from surreal.protocol.service.server import ServiceServer


Arrays = dict[str, np.ndarray]

MAX_REASON = 4096
"""Characters of the text that tells a client why its call failed."""


class Request:
    """A question, which `reply` or `fail` answers: the first of them counts."""

    __slots__ = ("_client", "_packet", "_server", "arrived", "deadline", "seq")

    def __init__(self, server: "ServiceServer", client: "Client", packet: Packet, arrived: float) -> None:
        self._server, self._client, self._packet, self.arrived = server, client, packet, arrived
        self.seq = packet.seq
        self.deadline = arrived + packet.round / 1000
        """Monotonic seconds; afterwards nobody waits for the answer."""

    @property
    def sender(self) -> str:
        """The client's name."""
        return self._packet.sender

    @property
    def meta(self) -> dict[str, Any]:
        """What came beside the arrays."""
        return self._packet.meta

    @property
    def arrays(self) -> Arrays:
        """Read-only views on the wire's memory."""
        return self._packet.arrays

    @property
    def size(self) -> int:
        """Bytes of the arrays."""
        return self._packet.size

    def reply(
        self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any] | None = None, version: Version = (0, 0)
    ) -> None:
        """Answer. Raises ValueError for what no message can carry."""
        self._server._answer([self], [self._server._encode(arrays, meta, version)])

    def fail(self, reason: str) -> None:
        """Have the client's call raise CallFailed with this text."""
        text = reason[:MAX_REASON].encode("utf-8", "replace").decode()
        self._server._answer([self], [self._server._encode({}, {"reason": text}, (0, 0))], Outcome.FAILED)


class Batch:
    """Requests whose arrays have the same names, dtypes and shapes, in the order in which they came."""

    def __init__(self, server: "ServiceServer", requests: list[Request]) -> None:
        self._server = server
        self.requests = requests

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)

    @cached_property
    def arrays(self) -> Arrays:
        """The requests' arrays, stacked: row i is of request i. A copy; empty for an empty batch."""
        return stack([request.arrays for request in self.requests]) if self.requests else {}

    def reply(
        self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any] | None = None, version: Version = (0, 0)
    ) -> None:
        """Answer request i with row i of every array, and all with `meta`. Raises ValueError for another number of
        rows, and for what no message can carry."""
        if self.requests:
            node = self._server.node
            rows = encode_rows(node.name, node.incarnation, version, meta, arrays, len(self))
            self._server._answer(self.requests, rows)

    def fail(self, reason: str) -> None:
        """Have the calls that are not answered yet raise CallFailed with this text."""
        for request in self.requests:
            request.fail(reason)


class Client:
    """One session of a client, with its requests that are not answered yet."""

    __slots__ = ("holder", "open")

    def __init__(self, holder: Holder) -> None:
        self.holder = holder
        self.open: dict[int, Request] = {}

    def forget_expired(self, now: float) -> None:
        """Drop what nobody waits for any more."""
        self.open = {seq: request for seq, request in self.open.items() if request.deadline > now}
