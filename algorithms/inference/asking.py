"""Questions of one group of copies: numbered, repeated until they are answered, put to the replica of this actor."""

from collections.abc import Mapping, Sequence
from logging import getLogger
from time import perf_counter
from typing import Any

from surreal.algorithms.types import Array
from surreal.protocol.errors import Timeout
from surreal.protocol.service.client import ServiceClient
from surreal.protocol.service.replica import Pending
from surreal.protocol.wire.packet import Message, Version

log = getLogger(__name__)
TIMEOUT_SECONDS = 10.0
"""Time without an answer after which another replica is asked, if there is one, which does not know the memory."""


class Asking:
    """The asking end of one group. It has at most one question under way."""

    def __init__(self, replicas: Sequence[ServiceClient], first: int, group: int) -> None:
        """Ask replica `first` for as long as it answers."""
        self._replicas, self._at, self._group = replicas, first % len(replicas), group
        self._step = -1
        self._arrays: Mapping[str, Array] = {}
        self._newer_than: Version | None = None
        self._pending: Pending | None = None
        self.moves = 0
        """Times that another replica was asked."""
        self.wait_seconds = 0.0

    @property
    def under_way(self) -> bool:
        """Return True while there is a question without an answer."""
        return self._pending is not None

    def ask(self, arrays: Mapping[str, Array], newer_than: Version | None) -> None:
        """Ask for the actions of the next step, by weights that exceed a version. An older question is dropped."""
        self._step += 1
        self._arrays, self._newer_than = arrays, newer_than
        self._submit()

    def _submit(self) -> None:
        meta: dict[str, Any] = {"group": self._group, "step": self._step}
        if self._newer_than is not None:
            meta["newer_than"] = list(self._newer_than)
        self._pending = self._replicas[self._at].submit(self._arrays, meta, TIMEOUT_SECONDS)

    def answer(self) -> Message:
        """Wait for the answer. Raises CallError where the replica refuses the question, Refused, and Stopping."""
        began = perf_counter()
        try:
            while True:
                assert self._pending is not None
                try:
                    message = self._pending.result()
                except Timeout as error:
                    self._move(error)
                    continue
                if not message.meta.get("wait"):
                    self._pending = None
                    return message
                self._submit()
        finally:
            self.wait_seconds += perf_counter() - began

    def _move(self, error: Timeout) -> None:
        """Ask the next replica: the same one again where it is alone."""
        if len(self._replicas) > 1:
            self._at, self.moves = (self._at + 1) % len(self._replicas), self.moves + 1
            log.warning("%s: asking replica %d", error, self._at)
        self._submit()
