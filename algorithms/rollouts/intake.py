"""Intake of fragments: which messages of the channel `experience` a learner takes, and counts of those it does not."""

from collections.abc import Callable
from logging import getLogger

from surreal.protocol.graph import ProcessName
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.wire.packet import Message

log = getLogger(__name__)


class Intake:
    """Receiving end of the actors' fragments."""

    def __init__(
        self, channel: StreamReceiver, actors: int, epoch: int, problem: Callable[[Message], str] = lambda message: ""
    ) -> None:
        """Take fragments of the actors below `actors`, acted with weights of the learner's incarnation `epoch`.

        `problem` says what is wrong with a fragment.
        """
        self._channel, self._actors, self._epoch, self._problem = channel, actors, epoch, problem
        self.dropped_epoch = 0
        """Fragments collected for a learner that died: what its death cost."""
        self.dropped_malformed = 0
        """Messages that are no fragments of this run."""

    def sender(self, message: Message, version: int) -> int | None:
        """Return the index of the actor whose fragment is fit for update `version`; None for one that is dropped."""
        if message.version[0] != self._epoch:
            self.dropped_epoch += 1
            return None
        sender = ProcessName.find(message.sender)
        known = sender is not None and sender.role == "actor" and sender.index < self._actors
        problem = self._problem(message) if known else "it is no actor of this run"
        if not problem and message.version[1] > version:
            problem = f"weights {message.version[1]} are not out yet"
        if problem or sender is None:
            self.dropped_malformed += 1
            log.warning("%s sent no fragment of this run: %s; it does not count", message.sender, problem)
            return None
        return sender.index
