"""A service whose replicas are shards, each of which holds something else: one client for each."""

from collections.abc import Sequence

from surreal.protocol.service.client import ServiceClient
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.stats import Stats


class ShardedClient:
    """The asking ends of all shards: what ServiceClient promises, of each shard alone.

    A question is for the shard that it is put to, and waits for that one while it is away.
    """

    def __init__(self, node: Node, addresses: Sequence[str], window: int) -> None:
        """Connect in the background. `addresses`: of the shards, in order. `window`: requests that each may have."""
        self.shards = [ServiceClient(node, [address], window) for address in addresses]

    @property
    def stats(self) -> Stats:
        """The sums of the shards' counters."""
        total = Stats()
        for shard in self.shards:
            for name, value in vars(shard.stats).items():
                setattr(total, name, getattr(total, name) + value)
        return total

    def close(self) -> None:
        """Disconnect from all shards."""
        for shard in self.shards:
            shard.close()
