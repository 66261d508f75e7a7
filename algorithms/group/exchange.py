"""Exchange of arrays among the learners of a run, which all hold the same parameters and learn from different rows.

They send each other arrays over the stream `gradients` and add in the order of their indices, so that every learner
computes the same bits. Index 0 leads: it tells the others its state, and it alone publishes, saves and ends the run.

A group lasts as long as all its processes. One that starts anew sends JOIN to index 0. An index 0 that had it in its
group then saves and starts again, which gives the weights a new epoch. An index 0 that starts sends HELLO, at which the
others join it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, NoReturn, Protocol

import numpy as np

from surreal.algorithms.recording.checkpoint import Checkpoint
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal, Stopping
from surreal.protocol.graph import ProcessName
from surreal.protocol.stream.sharded import ShardedSender
from surreal.protocol.wire.packet import Message, Version
from surreal.protocol.worker.process import Process

CHANNEL = "gradients"
"""The stream from the learners to themselves."""
KIND, JOIN, HELLO, MEMBERS = "kind", "join", "hello", "members"
CALL_EVERY = 1.0
"""Seconds between two calls of `waiting` in a long wait."""
PIECE = 4 * 2**20
"""Numbers of an array that travel in one message."""

Waiting = Callable[[str, float], None]
"""Function of the names of those that are waited for, and the seconds so far."""


def in_silence(names: str, seconds: float) -> None:
    """Say nothing of a wait."""


class RegroupError(Exception):
    """Index 0 has been started anew: this learner has to join it."""


class Learners(Protocol):
    """The learners of a run, as one of them sees them."""

    rank: int
    """Index of this one."""
    size: int

    def gather(self, arrays: Mapping[str, Array], waiting: Waiting = in_silence) -> list[Mapping[str, Array]]:
        """Return the arrays that each learner contributes, by index. All call it equally often, in one order.

        The arrays must not change afterwards. Raises Stopping, and RegroupError where all have to join again.
        """

    def total(self, vector: Array) -> Array:
        """Return the sum of the vectors of all learners, added in the order of their indices."""


class Alone:
    """The only learner of a run."""

    rank, size = 0, 1

    def gather(self, arrays: Mapping[str, Array], waiting: Waiting = in_silence) -> list[Mapping[str, Array]]:
        """See Learners."""
        return [arrays]

    def total(self, vector: Array) -> Array:
        """See Learners."""
        return vector


@dataclass(frozen=True)
class Members:
    """The processes that make up a group."""

    incarnations: tuple[int, ...]
    """Incarnation of each learner, by index. That of index 0 grows with every group."""

    @property
    def generation(self) -> int:
        """Number of the group, and epoch of its weights."""
        return self.incarnations[0]


class Group:
    """See Learners. Call `join` before all else, and again after RegroupError."""

    def __init__(self, process: Process) -> None:
        wiring = process.wiring
        self.rank, self.size = wiring.index, wiring.replicas[wiring.role]
        sender = process.sender(CHANNEL)
        assert isinstance(sender, ShardedSender)
        self._process, self._receiver, self._shards = process, process.receiver(CHANNEL), sender.shards
        self.members = Members((0,) * self.size)
        self._round = 0
        self._early: dict[tuple[Version, int], Mapping[str, Array]] = {}

    @property
    def others(self) -> list[int]:
        """Indices of the other learners."""
        return [rank for rank in range(self.size) if rank != self.rank]

    def join(self, waiting: Waiting = in_silence) -> None:
        """Wait until all learners are in one group. Raises Stopping."""
        self.members = Members(self._lead(waiting) if self.rank == 0 else self._follow(waiting))
        self._round = 0
        newest = self.members.generation
        self._early = {key: arrays for key, arrays in self._early.items() if key[0][0] >= newest}

    def _lead(self, waiting: Waiting) -> tuple[int, ...]:
        """Call the others, and tell them the members once all have come."""
        own = self._process.wiring.incarnation
        for rank in self.others:
            self._shards[rank].send({}, {KIND: HELLO}, (own, 0))
        joined = {0: own}
        while missing := [rank for rank in self.others if rank not in joined]:
            sender, message = self._receive(missing, waiting)
            if message.meta.get(KIND) == JOIN:
                joined[sender] = message.incarnation
        incarnations = [joined[rank] for rank in range(self.size)]
        for rank in self.others:
            self._shards[rank].send({}, {KIND: MEMBERS, MEMBERS: incarnations}, (own, 0))
        return tuple(incarnations)

    def _follow(self, waiting: Waiting) -> tuple[int, ...]:
        """Ask index 0 to be let in, and each of its successors, until one names this process as a member."""
        asked, own = self.members.generation, self._process.wiring.incarnation
        self._shards[0].send({}, {KIND: JOIN})
        while True:
            sender, message = self._receive([0], waiting)
            kind, generation = message.meta.get(KIND), message.version[0]
            if kind is None and generation > self.members.generation:
                self._early[message.version, sender] = message.arrays
            if sender == 0 and kind == HELLO and generation > asked:
                # It may be another index 0 than the one that got the last word of this process.
                asked = generation
                self._shards[0].send({}, {KIND: JOIN})
            if sender == 0 and kind == MEMBERS and (found := tuple(message.meta[MEMBERS]))[self.rank] == own:
                return found

    def gather(self, arrays: Mapping[str, Array], waiting: Waiting = in_silence) -> list[Mapping[str, Array]]:
        """See Learners."""
        self._round += 1
        version = (self.members.generation, self._round)
        for rank in self.others:
            self._shards[rank].send(arrays, {}, version)
        found = {rank: self._early.pop((version, rank)) for rank in self.others if (version, rank) in self._early}
        found[self.rank] = arrays
        while missing := [rank for rank in self.others if rank not in found]:
            sender, message = self._receive(missing, waiting)
            if message.meta.get(KIND):
                self._heed(sender, message)
            elif message.version == version:
                found[sender] = message.arrays
            elif message.version > version:
                self._early[message.version, sender] = message.arrays
        return [found[rank] for rank in range(self.size)]

    def total(self, vector: Array) -> Array:
        """See Learners."""
        pieces = [self._total(vector[start : start + PIECE]) for start in range(0, len(vector), PIECE)]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _total(self, vector: Array) -> Array:
        total = np.zeros_like(vector)
        for rank, found in enumerate(self.gather({"vector": vector.copy()})):
            part = found.get("vector")
            if part is None or part.shape != vector.shape or part.dtype != vector.dtype:
                name = ProcessName(self._process.wiring.role, rank)
                raise Fatal(
                    f"{name}: adds no {vector.dtype} of shape {vector.shape}: it runs another program. "
                    "Give all learners one image and one version."
                )
            total += part
        return total

    def linger(self) -> NoReturn:
        """Wait for the end of the run. Raises Stopping, and RegroupError where it is not over."""
        while True:
            sender, message = self._receive([0], in_silence)
            if message.meta.get(KIND):
                self._heed(sender, message)

    def _receive(self, missing: Sequence[int], waiting: Waiting) -> tuple[int, Message]:
        """Return the index of a learner and its next message; call `waiting` each second meanwhile."""
        began = monotonic()
        role = self._process.wiring.role
        while True:
            message = self._receiver.recv(timeout=CALL_EVERY)
            if message is None:
                waiting(", ".join(str(ProcessName(role, rank)) for rank in missing), monotonic() - began)
                continue
            sender = ProcessName.find(message.sender)
            if sender and sender.role == role and sender.index in self.others:
                return sender.index, message

    def _heed(self, sender: int, message: Message) -> None:
        """End the group where one of its processes was started anew."""
        kind = message.meta[KIND]
        if self.rank == 0 and kind == JOIN and message.incarnation != self.members.incarnations[sender]:
            self._give_up(message.sender)
        if sender == 0 and kind == HELLO and message.version[0] > self.members.generation:
            raise RegroupError

    def _give_up(self, lost: str) -> NoReturn:
        """Stop this process, which saves and is started again by its backend, with a new epoch of weights."""
        self._process.session.stop(f"{lost} was started anew, so all learners go back to the last update together")
        self._process.stopping.wait()
        raise Stopping(self._process.session.stop_reason)


def same_everywhere(learners: Learners, checkpoint: Checkpoint | None) -> Checkpoint:
    """Return the checkpoint of index 0, which alone has to give one, in every learner."""
    head = {} if checkpoint is None else {"head": _packed(checkpoint)}
    found = _unpacked(learners.gather(head)[0]["head"])
    arrays: dict[str, Array] = {}
    for name, (shape, dtype) in found["arrays"].items():
        own = None if checkpoint is None else np.ascontiguousarray(checkpoint.arrays[name]).reshape(-1)
        arrays[name] = _from_first(learners, own, int(np.prod(shape)), np.dtype(dtype)).reshape(shape)
    return Checkpoint(found["steps"], arrays, found["state"])


def _from_first(learners: Learners, own: Array | None, size: int, dtype: np.dtype[Any]) -> Array:
    """Return the flat array that index 0 holds, piece by piece."""
    whole = np.empty(size, dtype)
    for start in range(0, size, PIECE):
        cut = slice(start, start + PIECE)
        whole[cut] = learners.gather({} if own is None else {"piece": own[cut].copy()})[0]["piece"]
    return whole


def _packed(checkpoint: Checkpoint) -> Array:
    """Return all of a checkpoint but its arrays as bytes of JSON, which unlike meta knows integers of any size."""
    arrays = {name: (array.shape, array.dtype.str) for name, array in checkpoint.arrays.items()}
    text = json.dumps({"steps": checkpoint.steps, "state": checkpoint.state, "arrays": arrays})
    return np.frombuffer(text.encode(), np.uint8)


def _unpacked(data: Array) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(data.tobytes())
    return found
