"""A call of a service that has not ended yet, as the one who asked holds it."""

from typing import TYPE_CHECKING

from surreal.protocol.codec import Encoded
from surreal.protocol.errors import SurrealError
from surreal.protocol.message import Message
from surreal.protocol.service_replica import Replica

if TYPE_CHECKING:
    from surreal.protocol.service_client import ServiceClient


class Pending:
    """A request under way. It ends by itself at its deadline; whoever does not want the answer may drop it."""

    __slots__ = ("_client", "asked", "deadline", "due", "item", "outcome", "sent", "seq", "slots", "timeout")

    def __init__(self, client: "ServiceClient", seq: int, item: Encoded, timeout: float, deadline: float) -> None:
        self._client = client
        self.seq, self.item, self.timeout, self.deadline = seq, item, timeout, deadline
        self.sent = 0.0
        self.due = deadline
        """When it is sent again."""
        self.asked: list[Replica] = []
        """Whom it was sent to, in this order."""
        self.slots: set[Replica] = set()
        """Those of them that may still work at it."""
        self.outcome: Message | SurrealError | None = None

    def done(self) -> bool:
        """Has it ended, so that `result` will not wait?"""
        return self.outcome is not None or self._client.look_for(self)

    def result(self) -> Message:
        """Wait for the answer. Raises CallFailed with the server's text where it could not, Timeout at the deadline,
        Refused where no replica talks to this process, Stopping."""
        if self.outcome is None:
            self._client.wait_for(self)
        if not isinstance(self.outcome, Message):
            assert self.outcome is not None
            raise self.outcome
        return self.outcome
