"""Updates that the learners of a run make as one: each from the fragments of its own actors, with the facts of all.

The actor `i` belongs to the learner `i % learners`. One learner alone has all fragments and nothing to exchange.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from logging import getLogger
from typing import NamedTuple

import numpy as np

from surreal.algorithms.group.exchange import Alone, Group, Learners, Waiting, same_everywhere
from surreal.algorithms.recording.checkpoint import Checkpoint
from surreal.algorithms.rollouts.facts import Fact, facts
from surreal.algorithms.rollouts.state import State
from surreal.algorithms.rollouts.trajectories import Fragment, Share
from surreal.algorithms.types import Array
from surreal.protocol.errors import Stopping
from surreal.protocol.wire.packet import Message
from surreal.protocol.worker.process import Process

log = getLogger(__name__)


class Collected(NamedTuple):
    """Data of one update."""

    fragments: list[Fragment]
    """Fragments of own actors."""
    stated: Sequence[Mapping[str, Array]]
    """Statements of each learner, by index, on its own."""

    @property
    def staleness(self) -> list[int]:
        """Updates that the weights of each fragment of all learners were behind."""
        return [int(each) for stated in self.stated for each in stated["staleness"]]

    @property
    def dropped(self) -> tuple[int, ...]:
        """Sums over all learners of what they counted as dropped."""
        return tuple(int(each) for each in np.sum([stated["dropped"] for stated in self.stated], axis=0))


class Joint:
    """The learners of a run, and the state that is the same on all."""

    def __init__(self, process: Process, state: State, group: Group | None) -> None:
        """Make updates with a group, or alone."""
        self._process, self._state, self._group = process, state, group
        self._learners: Learners = group or Alone()
        self._copies, self._actors = int(process.wiring.env["copies"]), process.wiring.replicas["actor"]
        self._assembled = group is None or group.rank > 0
        self._alive = set(range(self._actors))
        self._warned = False

    def assemble(self, waiting: Waiting) -> None:
        """Wait, as index 0, for the other learners at the first call, and tell them the state."""
        if self._group and not self._assembled:
            self._group.join(waiting)
            same_everywhere(self._group, self._state.checkpoint())
            self._assembled = True

    def alive(self) -> set[int]:
        """Return the actors that are heard from; beyond index 0 as far as that one said at the last update."""
        return self._process.session.alive("actor") if self._learners.rank == 0 else self._alive

    def exchange(self, messages: list[Message], dropped: Sequence[int], waiting: Waiting) -> Collected:
        """Tell the other learners of own fragments, and of what was dropped so far; return what all say."""
        state = self._state
        fragments = state.fragments(messages)
        own = state.facts.state(messages, fragments) | {
            "staleness": np.array([state.updates - message.version[1] for message in messages]),
            "dropped": np.array(dropped),
        }
        if self._group:
            own["alive"] = np.array(sorted(self.alive()), dtype=np.int64)
            own["digest"] = np.array([zlib.crc32(state.updater.parameters().data)])
        stated = self._learners.gather(own, waiting)
        if self._group:
            self._alive = set(stated[0]["alive"].tolist())
        return Collected(fragments, stated)

    def learn(self, data: Collected) -> dict[str, float]:
        """Make one update. Raises Stopping, with the state as it was before."""
        news = facts(data.stated)
        if self._group is None:
            return self._state.update(data.fragments, news)
        before = _copy(self._state.checkpoint())
        try:
            self._mend(self._group, data.stated)
            return self._state.update(data.fragments, news, self._share(news))
        except Stopping:
            self._state.restore(before)
            raise

    def _share(self, news: Sequence[Fact]) -> Share:
        columns = np.arange(len(news) * self._copies).reshape(len(news), self._copies)
        ranks = np.array([fact.rank for fact in news])
        owned = tuple(columns[ranks == rank].reshape(-1) for rank in range(self._learners.size))
        return Share(self._learners.rank, owned)

    def _mend(self, group: Group, stated: Sequence[Mapping[str, Array]]) -> None:
        """Take over the state of index 0 where parameters differ: other processors may round in another way."""
        if len({int(each["digest"][0]) for each in stated}) == 1:
            return
        if not self._warned:
            log.warning("the learners' parameters differ, as on processors of other kinds: all take the first's")
        self._warned = True
        leads = group.rank == 0
        found = same_everywhere(group, self._state.checkpoint() if leads else None)
        if not leads:
            self._state.restore(found)


def _copy(checkpoint: Checkpoint) -> Checkpoint:
    return replace(checkpoint, arrays={name: array.copy() for name, array in checkpoint.arrays.items()})
