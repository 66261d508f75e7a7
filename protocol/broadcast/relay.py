"""A relay of a broadcast: reads from the publisher and serves readers, so that the publisher's cost does not grow with
them. It is a role of its own, started at an address where its readers find it again after a restart.
"""

from surreal.protocol.broadcast.publisher import BroadcastServer, encode
from surreal.protocol.broadcast.subscriber import BroadcastClient
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.stats import Stats
from surreal.protocol.wire.packet import Packet


class Relay:
    """Follows one address and serves another. The I/O thread does everything."""

    def __init__(self, node: Node, upstream: str, address: str) -> None:
        """Listen at `address` at once and connects to `upstream` in the background."""
        self._server = BroadcastServer(node, address)
        self._client = BroadcastClient(node, upstream, self._pass_on)

    def check(self) -> None:
        """Raise Refused when the publisher will not talk to this relay."""
        self._client.check()

    @property
    def stats(self) -> Stats:
        """A copy of the counters of the serving side; `depth` is the number of readers that wait."""
        return self._server.stats

    def close(self) -> None:
        """Disconnect and stop listening."""
        self._client.close()
        self._server.close()

    def _pass_on(self, packet: Packet) -> None:
        """Serve a value as its publisher's: the header is packed once, large arrays stay where they were received."""
        value = encode(packet.sender, packet.incarnation, packet.version, packet.meta, packet.arrays)
        self._server.offer(value)
