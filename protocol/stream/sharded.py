"""A stream whose receiving role has several replicas: one sender for each, a message goes to one of them."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from surreal.protocol.errors import Timeout
from surreal.protocol.stream.sender import FLUSH_ON_CLOSE_S, StreamSender
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.stats import Stats
from surreal.protocol.wire.packet import Version

TURN = 0.002
"""Seconds spent at one full shard before the next is looked at."""


class ShardedSender:
    """The sending end of a sharded stream: what StreamSender promises, for each shard.

    A message stays with the shard it was given to, also while that one is away; meanwhile the others get the rest.
    """

    def __init__(
        self, node: Node, addresses: Sequence[str], window: int, lossy: bool = False, finite: bool = False
    ) -> None:
        """Connect in the background. `addresses`: of the shards, in order. The rest as in StreamSender, per shard."""
        self._node, self._lossy = node, lossy
        self.shards = [StreamSender(node, address, window, lossy, finite) for address in addresses]
        self._last = -1
        self._blocked = 0.0
        self._dropped = 0

    def send(
        self,
        arrays: Mapping[str, np.ndarray],
        meta: Mapping[str, Any] | None = None,
        version: Version = (0, 0),
        timeout: float | None = None,
        shard: int | None = None,
    ) -> bool:
        """Send one message to `shard`, or to the one that owes the fewest acknowledgements.

        Waits, drops and raises as StreamSender.send does; without `shard` only when every shard is full.
        """
        if shard is not None:
            return self.shards[shard].send(arrays, meta, version, timeout)
        chosen = self._choose() or self._wait(timeout)
        return chosen is not None and chosen.send(arrays, meta, version, timeout)

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until every shard has acknowledged everything. Raises Refused."""
        deadline = time.monotonic() + timeout
        flushed = [shard.flush(max(0.0, deadline - time.monotonic())) for shard in self.shards]
        return all(flushed)

    @property
    def acknowledged(self) -> int:
        """The number of messages that were handed to the receivers' applications, as far as is known."""
        return sum(shard.acknowledged for shard in self.shards)

    @property
    def stats(self) -> Stats:
        """The sums of the shards' counters."""
        total = Stats(blocked_seconds=self._blocked, dropped=self._dropped)
        for shard in self.shards:
            for name, value in vars(shard.stats).items():
                setattr(total, name, getattr(total, name) + value)
        return total

    def close(self, timeout: float = FLUSH_ON_CLOSE_S) -> None:
        """Flush all shards for up to `timeout` seconds together, and disconnect."""
        deadline = time.monotonic() + timeout
        for shard in self.shards:
            shard.close(max(0.0, deadline - time.monotonic()))

    def _by_turn(self) -> list[int]:
        """Return the shards, the one after the last used first."""
        first, count = self._last + 1, len(self.shards)
        return [(first + i) % count for i in range(count)]

    def _choose(self) -> StreamSender | None:
        """Return the shard that owes the fewest acknowledgements, if it has room."""
        self._last = min(self._by_turn(), key=lambda i: self.shards[i].unacked)
        shard = self.shards[self._last]
        return shard if shard.has_room(0) else None

    def _wait(self, timeout: float | None) -> StreamSender | None:
        """Return the first shard that has room; None where a lossy stream drops instead."""
        began = last = time.monotonic()
        while True:
            for i in self._by_turn():
                if self.shards[i].has_room(0 if self._lossy else TURN):
                    self._last = i
                    return self.shards[i]
            if self._lossy:
                self._dropped += 1
                return None
            self._node.check()
            now = time.monotonic()
            self._blocked += now - last
            last = now
            if timeout is not None and now - began >= timeout:
                raise Timeout(f"shards: no room at any of {len(self.shards)} within {timeout} s. Look at their logs.")
