"""What two processes must agree on: wiring, channels on ZeroMQ, codec, liveness, process life cycle.

Belongs here: anything both ends of a socket, or a backend and the process it starts, must share.
Must not be here: an algorithm, a cluster, a file format of an experiment. Imports no other layer.

The channels can be used without the rest: `from surreal.protocol import Node, StreamSender`, see docs/channels.md.
They are imported when they are asked for, so that who only wants an error or a wiring does not pay for ZeroMQ.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from surreal.protocol.broadcast import Publisher, Subscriber
    from surreal.protocol.message import Message
    from surreal.protocol.node import Node
    from surreal.protocol.relay import Relay
    from surreal.protocol.service_client import ServiceClient
    from surreal.protocol.service_server import ServiceServer
    from surreal.protocol.stream_receiver import StreamReceiver
    from surreal.protocol.stream_sender import StreamSender

_HOMES = {
    "Message": "message",
    "Node": "node",
    "Publisher": "broadcast",
    "Relay": "relay",
    "ServiceClient": "service_client",
    "ServiceServer": "service_server",
    "StreamReceiver": "stream_receiver",
    "StreamSender": "stream_sender",
    "Subscriber": "broadcast",
}

__all__ = [
    "Message",
    "Node",
    "Publisher",
    "Relay",
    "ServiceClient",
    "ServiceServer",
    "StreamReceiver",
    "StreamSender",
    "Subscriber",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
