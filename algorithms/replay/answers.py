"""Answers of a shard to a learner: items in messages or in memory that both share, and priorities that come back."""

from collections import deque
from logging import getLogger
from time import monotonic
from typing import Any

import numpy as np

from surreal.algorithms.replay.buffer import ReplayBuffer
from surreal.algorithms.replay.layout import Layout, batch_bytes, layout_number, to_plain, views
from surreal.algorithms.replay.rate_limiter import RateLimiter
from surreal.algorithms.replay.shared_memory import HEADER_BYTES, SharedMemory
from surreal.algorithms.types import F64, Array, Bool, Int
from surreal.protocol.profiling.spans import NUMERIC, operation
from surreal.protocol.service.requests import Request
from surreal.protocol.service.server import ServiceServer
from surreal.protocol.wire.packet import Message

log = getLogger(__name__)
ITEM_BITS, LIFE_BITS = 40, 15
"""Bits of an item's number, and of the incarnation that gave it, in the id that a learner gets; the rest: the shard."""
HOLD_SECONDS = 0.4
"""Time that a request waits for its items before it is told to ask again; the client tells the slow from the dead."""
MOST_COUNT = 2**20
"""Items that one request may ask for."""
MOST_SLOTS = 64
"""Batches that one learner has memory for."""


class LearnerMemory:
    """Memory that one learner offers, as far as this process can open it."""

    def __init__(self, offer: Any) -> None:
        self.offer, self.shared = offer, SharedMemory.attach(offer)
        self.written = -1
        """Number of the newest request whose items were written into it."""
        self._slots: dict[tuple[int, int], dict[str, Array]] = {}

    def slot(self, layout: Layout, offset: int, batch: int) -> dict[str, Array] | None:
        """Return the arrays of the batch that begins at `offset`; None where there is no such place."""
        found = self._slots.get((offset, batch))
        if found is None and self.shared and 0 < batch <= MOST_COUNT:
            end = offset + batch_bytes(layout, batch)
            if HEADER_BYTES <= offset < end <= len(self.shared.mapped) and len(self._slots) < MOST_SLOTS:
                found = self._slots[offset, batch] = views(layout, self.shared.mapped, offset, batch)
        return found


class Answers:
    """The sampling side of one shard."""

    def __init__(self, buffer: ReplayBuffer, limiter: RateLimiter, shard: int, incarnation: int) -> None:
        self._buffer, self._limiter = buffer, limiter
        self._life = (shard << LIFE_BITS | incarnation % 2**LIFE_BITS) << ITEM_BITS
        self._memory: dict[str, LearnerMemory] = {}
        self.refused = 0
        """Priorities that were NaN, negative, or of items that were overwritten meanwhile."""

    def give(self, request: Request, patient: bool) -> bool:
        """Answer `request`; return False where its items are not to be had yet and it may wait, as `patient` says."""
        meta = request.meta
        count = meta.get("count", 0)
        if type(count) is not int or not 0 <= count <= MOST_COUNT:
            request.fail(f"count: {count!r} is no number of items. Ask for 0 to {MOST_COUNT}.")
        elif count and self._buffer.items and meta.get("layout") not in (None, layout_number(self._buffer.layout)):
            request.fail(f"items of this shard are {to_plain(self._buffer.layout)}, and others were asked for")
        elif count and not (self._buffer.items and self._limiter.may_sample(count)):
            if patient:
                return False
            request.reply({}, {**self._state(), "wait": True})
        elif count:
            with operation("sample", NUMERIC):
                self._send(request, count)
        else:
            request.reply({}, {**self._state(), "layout": to_plain(self._buffer.layout)})
        return True

    def _send(self, request: Request, count: int) -> None:
        """Draw items and send them."""
        drawn = self._buffer.draw(count)
        self._limiter.samples += count
        arrays: dict[str, Array] = {"ids": drawn.items + self._life, "probabilities": drawn.probabilities}
        there = self._shared(request, count)
        out = there or {f: np.empty((count, *field.shape), field.dtype) for f, field in self._buffer.layout.items()}
        self._buffer.fill(drawn.items, out)
        age = self._buffer.ring.next_item - float(drawn.items.mean())
        request.reply(arrays if there else {**arrays, **out}, {**self._state(), "age": age})

    def _state(self) -> dict[str, Any]:
        """Return what a learner needs to know about this shard."""
        buffer = self._buffer
        return {
            "items": buffer.items,
            "mass": buffer.sampler.mass(buffer.items),
            "steps": buffer.steps,
            "samples": self._limiter.samples,
            "ready": self._limiter.ready and buffer.items > 0,
        }

    def _shared(self, request: Request, count: int) -> dict[str, Array] | None:
        """Return the rows of the learner's memory that this request names; None where they cannot be written.

        A request that was answered and asked again would write over what the learner may be reading: its number tells.
        """
        offer, place = request.meta.get("memory"), request.meta.get("place")
        if not offer or not (isinstance(place, list) and len(place) == 4 and all(type(n) is int for n in place)):
            return None
        number, offset, begin, batch = place
        learner = self._learner(request.sender, offer)
        whole = learner.slot(self._buffer.layout, offset, batch)
        if whole is None or number <= learner.written or not 0 <= begin <= begin + count <= batch:
            return None
        learner.written = number
        return {name: array[begin : begin + count] for name, array in whole.items()} if count < batch else whole

    def _learner(self, name: str, offer: Any) -> "LearnerMemory":
        """Return the memory that a learner offers now, which is opened once."""
        known = self._memory.get(name)
        if known is None or known.offer != offer:
            known = self._memory[name] = LearnerMemory(offer)
            log.info("items for %s travel %s", name, "through shared memory" if known.shared else "in messages")
        return known

    def update(self, message: Message) -> None:
        """Set the priorities of items by the errors that a learner sends. Drop and count what makes no sense."""
        ids, magnitudes = message.arrays.get("ids"), message.arrays.get("magnitudes")
        if not _fit(ids, magnitudes):
            self._refuse(message.sender, 1, "is no pair of arrays 'ids' (int64) and 'magnitudes' (float)")
            return
        assert ids is not None and magnitudes is not None
        values = magnitudes.astype(np.float64)
        items, live = self._live(ids)
        sound = usable(values)
        if not sound.all():
            self._refuse(message.sender, int((~sound).sum()), "has priorities that are NaN, infinite or negative")
        self.refused += int((sound & ~live).sum())
        good = live & sound
        self._buffer.sampler.update(items[good], values[good])

    def _live(self, ids: Int) -> tuple[Int, Bool]:
        """Return the numbers of items by their ids, and which of them are there as they were sent."""
        items = ids & (2**ITEM_BITS - 1)
        return items, (ids - items == self._life) & self._buffer.ring.live(items)

    def _refuse(self, sender: str, count: int, why: str) -> None:
        if not self.refused:
            log.warning("a message of %s %s; they are dropped and counted", sender, why)
        self.refused += count


class Questions:
    """Requests of learners in the order of their arrival, until they can be answered."""

    def __init__(self, server: ServiceServer, answers: Answers) -> None:
        self._server, self._answers = server, answers
        self._held: deque[Request] = deque()

    def answer(self) -> int:
        """Answer those that have waited longest, as far as there are items; return their number."""
        while (request := self._server.recv(timeout=0)) is not None:
            self._held.append(request)
        now, answered = monotonic(), 0
        while self._held and self._answers.give(self._held[0], patient=now - self._held[0].arrived < HOLD_SECONDS):
            self._held.popleft()
            answered += 1
        return answered


def _fit(ids: Array | None, magnitudes: Array | None) -> bool:
    if ids is None or magnitudes is None:
        return False
    return ids.dtype == np.int64 and ids.ndim == 1 and ids.shape == magnitudes.shape and magnitudes.dtype.kind == "f"


def shard_of(ids: Int) -> Int:
    """Return the shard [n] that each id [n] is of."""
    return ids >> (ITEM_BITS + LIFE_BITS)


def usable(magnitudes: F64) -> Bool:
    """Return which errors [n] a priority can be made of."""
    good: Bool = np.isfinite(magnitudes) & (magnitudes >= 0)
    return good
