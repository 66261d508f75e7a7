"""A learner's link to one shard: what it holds, whether it answers, and questions to it."""

from collections.abc import Mapping
from logging import getLogger
from time import monotonic
from typing import Any

from surreal.protocol.errors import Timeout
from surreal.protocol.service.client import ServiceClient
from surreal.protocol.service.replica import Pending
from surreal.protocol.wire.packet import Message

log = getLogger(__name__)
ANSWER_SECONDS = 2.4
"""Time without an answer after which a shard counts as away; a live one answers within half a second."""
LOOK_SECONDS = 0.3
"""Time between two questions how a shard is."""
NOTHING: Mapping[str, Any] = {}


class ShardLink:
    """State of one shard as its answers tell it."""

    def __init__(self, name: str, client: ServiceClient) -> None:
        self.name, self._client = name, client
        self.items = self.samples = 0
        self.mass = 0.0
        """Items, or the sum of their priorities."""
        self.ready = self.away = self.known = False
        """It can be sampled; it does not answer; it has answered once, or did not in time."""
        self.layout: list[Any] = []
        """Arrays of its batches; empty before it has any."""
        self.first = 0
        """Steps that it had inserted when it was heard of for the first time."""
        self._steps = self._lost = 0
        self._newest: tuple[int, int, int] | None = None
        """Incarnation, steps and samples of the newest answer: none of them is ever less than before."""
        self._question: Pending | None = None
        self._looked = 0.0

    @property
    def heard_of(self) -> bool:
        """True once it has answered."""
        return self._newest is not None

    @property
    def steps(self) -> int:
        """Steps that it has inserted so far, and those of which it lost count when it died."""
        return self._lost + self._steps

    @property
    def weight(self) -> float:
        """Mass of a shard that can be sampled now."""
        return self.mass if self.ready and not self.away else 0.0

    def ask(self, meta: Mapping[str, Any]) -> Pending:
        """Ask for items."""
        return self._client.submit({}, meta, ANSWER_SECONDS)

    def look(self) -> None:
        """Ask how it is, if it gives nothing now, and take in what it said before. Never waits."""
        if self._question is None:
            if not self.weight and monotonic() - self._looked > LOOK_SECONDS:
                self._question, self._looked = self.ask({"count": 0}), monotonic()
        elif self._question.done():
            question, self._question = self._question, None
            try:
                self.heard(question.result())
            except Timeout:
                self.missed()

    def heard(self, answer: Message) -> None:
        """Take in what an answer says about the shard, unless a newer one has: answers are not read in their order."""
        meta = answer.meta
        newest = answer.incarnation, meta["steps"], meta["samples"]
        if self._newest is None:
            self.first = meta["steps"]
        elif newest < self._newest:
            return
        elif newest[0] > self._newest[0]:
            self._lost += max(0, self._steps - meta["steps"])
        if self.away:
            log.info("%s answers again, with %d items", self.name, meta["items"])
        self.known, self._newest = True, newest
        self._steps, self.samples = meta["steps"], meta["samples"]
        self.items, self.mass, self.ready, self.away = meta["items"], meta["mass"], meta["ready"], False
        self.layout = meta.get("layout", self.layout)

    def missed(self) -> None:
        """Note that it has not answered in time."""
        if not self.away:
            log.warning("%s does not answer: batches go on without it", self.name)
        self.away = self.known = True
