"""The learner's side of replay: batches from all shards, asked for ahead, and priorities back to them."""

from collections import deque
from collections.abc import Callable, Sequence
from logging import getLogger
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from surreal.algorithms.replay.answers import shard_of, usable
from surreal.algorithms.replay.batches import Open, Part, ReplayBatch, Slots
from surreal.algorithms.replay.config import ReplaySettings
from surreal.algorithms.replay.layout import from_plain, layout_number
from surreal.algorithms.replay.shard_link import ShardLink
from surreal.algorithms.types import Array, Int
from surreal.protocol.errors import Fatal, Timeout
from surreal.protocol.service.rows import CallError
from surreal.protocol.stream.sharded import ShardedSender
from surreal.protocol.worker.process import Process

T = TypeVar("T")
log = getLogger(__name__)
SAY_SECONDS = 5.0
"""Time between two words about shards that are waited for."""
PAUSE_SECONDS = 0.02
"""Time between two looks where no shard has anything to give."""


class ReplayClient:
    """Samples all shards in proportion to what they hold. For one thread."""

    def __init__(self, process: Process, settings: ReplaySettings) -> None:
        """Connect to the shards."""
        self._process, self._settings = process, settings
        clients = process.clients("sample").shards
        self._shards = [ShardLink(f"replay/{index}", client) for index, client in enumerate(clients)]
        self._priorities = process.sender("priorities") if "priorities" in process.wiring.channels else None
        self._rng = np.random.default_rng([process.seed, process.wiring.start])
        self._slots: Slots | None = None
        self._layout = self._number = 0
        self._open: deque[Open] = deque()
        self._free: list[int] = []
        self._used: int | None = None
        self._waited = self._taken = self._age = 0.0
        self._metrics_at = perf_counter()
        self.priorities_dropped = 0
        """Errors of which no priority can be made: NaN, infinite or negative."""

    @property
    def steps(self) -> int:
        """Environment steps that all shards have inserted so far, as far as is known; never less than before."""
        return sum(shard.steps for shard in self._shards)

    @property
    def first_steps(self) -> int:
        """Steps that the shards had inserted before this client heard of each for the first time."""
        return sum(shard.first for shard in self._shards)

    @property
    def heard_of_all(self) -> bool:
        """True once every shard has answered."""
        return all(shard.heard_of for shard in self._shards)

    def sample(
        self,
        beta: float | None = None,
        waiting: Callable[[str, float], None] | None = None,
        timeout: float | None = None,
    ) -> ReplayBatch | None:
        """Return the next batch, whose arrays are used again by the next call; None after `timeout` seconds.

        `beta`: exponent of the importance weights, else that of the settings. `waiting` is called every few seconds of
        a long wait, with the names of the shards and the seconds so far. Raises Stopping. Raises Fatal where shards
        hold arrays of different types.
        """
        began = said = perf_counter()
        self._release()
        while not (first := self._first()):
            now = perf_counter()
            if timeout is not None and now - began >= timeout:
                break
            if waiting and now - said > SAY_SECONDS:
                waiting(", ".join(shard.name for shard in self._shards if not shard.weight) or "replay", now - began)
                said = now
        self._taken += perf_counter() - began
        if not first:
            return None
        self._open.popleft()
        self._used = first.slot
        items = sum(shard.items for shard in self._shards if shard.weight)
        beta = self._settings.replay.importance_exponent if beta is None else beta
        # without priorities all items are as likely, but for what shards took in meanwhile
        batch = first.finish(items, beta if self._settings.prioritized else 0.0)
        self._age = batch.age
        return batch

    def update_priorities(self, ids: Int, magnitudes: Array) -> None:
        """Send the errors [n] of items [n] back to their shards. Never waits: what a shard is behind with is dropped.

        Errors that are NaN, infinite or negative are dropped and counted. Does nothing where items have no priorities.
        """
        if self._priorities is None or not self._settings.prioritized:
            return
        magnitudes = np.asarray(magnitudes, dtype=np.float32)
        good = usable(magnitudes)
        if not good.all():
            if not self.priorities_dropped:
                log.warning("%d of %d priorities are NaN, infinite or negative: dropped", (~good).sum(), len(good))
            self.priorities_dropped += int((~good).sum())
            ids, magnitudes = ids[good], magnitudes[good]
        shards = shard_of(ids)
        for index in range(len(self._shards)):
            own = shards == index
            if isinstance(self._priorities, ShardedSender):
                if own.any():
                    self._priorities.send({"ids": ids[own], "magnitudes": magnitudes[own]}, shard=index)
            elif len(ids):
                # the channel may keep what it sends, and the caller's arrays are used again
                self._priorities.send({"ids": ids.copy(), "magnitudes": magnitudes.copy()})

    def metrics(self) -> dict[str, float]:
        """Return values for a row of metrics; shares are of the time since the last call."""
        now, held = perf_counter(), [shard.items for shard in self._shards]
        span = max(now - self._metrics_at, 1e-9)
        waited, taken = min(1.0, self._waited / span), min(1.0, self._taken / span)
        self._waited, self._taken, self._metrics_at = 0.0, 0.0, now
        samples = sum(shard.samples for shard in self._shards)
        return {
            "waiting_for_samples": waited,
            "taking_samples": max(0.0, taken - waited),
            "replay_items": float(sum(held)),
            "replay_ratio": samples / self._settings.batch / max(1, self.steps),
            "sample_age": self._age,
            "shard_balance": min(held) / max(1, *held),
            "shards_away": float(sum(shard.away for shard in self._shards)),
            "priorities_dropped": float(self.priorities_dropped),
        }

    def close(self) -> None:
        """Give back the shared memory; the runner closes the channels."""
        if self._slots:
            self._slots.close()

    def _first(self) -> Open | None:
        """Return the next batch if it is complete, after waiting for its parts for a moment."""
        self._process.session.check()
        for shard in self._shards:
            shard.look()
        self._ask_ahead()
        if not self._open:
            self._idle(lambda: self._process.stopping.wait(PAUSE_SECONDS))
            return None
        first = self._open[0]
        parts, first.asked = first.asked, []
        for part, pending in parts:
            shard = self._shards[part.shard]
            try:
                answer = pending.result() if pending.done() else self._idle(pending.result)
            except Timeout:
                shard.missed()
                self._abandon()
                return None
            except CallError as error:
                raise Fatal(
                    f"{shard.name}: cannot give what other shards give: {error}. Give all shards one config."
                ) from None
            shard.heard(answer)
            if not answer.meta.get("wait"):
                first.take(part, answer)
            elif shard.ready:
                self._ask(first, part)
            else:
                self._abandon()
                return None
        return None if first.asked else first

    def _idle(self, wait: Callable[[], T]) -> T:
        """Return what `wait` returns, and count its time as waiting: what had arrived before needs none."""
        began = perf_counter()
        try:
            return wait()
        finally:
            self._waited += perf_counter() - began

    def _ask_ahead(self) -> None:
        """Ask for batches until every slot is used."""
        weights = [shard.weight for shard in self._shards]
        total = sum(weights)
        # the first batches too are of all shards that there are
        if not total or not all(shard.known for shard in self._shards):
            return
        if not (self._slots or self._make_slots()):
            return
        assert self._slots is not None
        shares = [weight / total for weight in weights]
        while self._free:
            slot = self._free.pop()
            batch = Open(slot, self._slots.arrays(slot), self._settings.batch)
            begin = 0
            for index, count in enumerate(self._counts(shares)):
                if count:
                    self._ask(batch, Part(index, begin, int(count), shares[index]))
                    begin += int(count)
            self._open.append(batch)

    def _counts(self, shares: list[float]) -> Sequence[int]:
        """Return how many items of a batch each shard gives."""
        if len(shares) == 1:
            return (self._settings.batch,)
        return [int(count) for count in self._rng.multinomial(self._settings.batch, shares)]

    def _ask(self, batch: Open, part: Part) -> None:
        assert self._slots is not None
        meta: dict[str, Any] = {"count": part.count, "layout": self._layout}
        if self._slots.shared:
            self._number += 1
            place = [self._number, self._slots.offset(batch.slot), part.begin, self._settings.batch]
            meta |= {"memory": self._slots.shared.offer, "place": place}
        batch.asked.append((part, self._shards[part.shard].ask(meta)))

    def _make_slots(self) -> bool:
        """Allocate memory for batches, once a shard has said what they are made of."""
        known = [shard for shard in self._shards if shard.layout]
        for shard in known[1:]:
            if shard.layout != known[0].layout:
                raise Fatal(
                    f"{shard.name}: holds {shard.layout}, {known[0].name} holds {known[0].layout}. Let all actors of a "
                    "run have the same environment, and remove the snapshots of another one."
                )
        if not known:
            return False
        layout, count = from_plain(known[0].layout), self._settings.replay.prefetch + 1
        self._slots = Slots(layout, self._settings.batch, count)
        self._layout, self._free = layout_number(layout), list(range(count))
        return True

    def _release(self) -> None:
        """Use the memory of the last batch again."""
        if self._used is not None:
            self._free.append(self._used)
            self._used = None

    def _abandon(self) -> None:
        """Give up all batches that are under way. A shard that only seems dead may still write into their memory."""
        self._open.clear()
        self._used = None
        if self._slots:
            self._slots.renew()
            self._free = list(range(self._settings.replay.prefetch + 1))
