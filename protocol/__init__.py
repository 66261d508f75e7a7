"""Protocol: wiring, channels on ZeroMQ, codec, liveness and the life cycle of processes.

Belongs here: anything that both ends of a socket, or a backend and the process it starts, must share. Must not be here:
an algorithm, a cluster, the keys of an experiment. Imports no other layer.

The channels can be used without the rest: `from surreal.protocol import Node, StreamSender`, see docs/channels.md. They
are imported at their first use: an error or a wiring does not cost the import of ZeroMQ.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from surreal.protocol.broadcast.publisher import Publisher
    from surreal.protocol.broadcast.relay import Relay
    from surreal.protocol.broadcast.subscriber import Subscriber
    from surreal.protocol.service.client import ServiceClient
    from surreal.protocol.service.server import ServiceServer
    from surreal.protocol.stream.receiver import StreamReceiver
    from surreal.protocol.stream.sender import StreamSender
    from surreal.protocol.stream.sharded import ShardedSender
    from surreal.protocol.transport.node import Node
    from surreal.protocol.transport.selector import Selector
    from surreal.protocol.wire.packet import Message

__all__ = [
    "Message",
    "Node",
    "Publisher",
    "Relay",
    "Selector",
    "ServiceClient",
    "ServiceServer",
    "ShardedSender",
    "StreamReceiver",
    "StreamSender",
    "Subscriber",
]

_HOMES = {
    "Message": "wire.packet",
    "Node": "transport.node",
    "Publisher": "broadcast.publisher",
    "Relay": "broadcast.relay",
    "Selector": "transport.selector",
    "ServiceClient": "service.client",
    "ServiceServer": "service.server",
    "ShardedSender": "stream.sharded",
    "StreamReceiver": "stream.receiver",
    "StreamSender": "stream.sender",
    "Subscriber": "broadcast.subscriber",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
