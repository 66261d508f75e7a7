"""What two processes must agree on: wiring, channels on ZeroMQ, codec, liveness, process life cycle.

Belongs here: anything both ends of a socket, or a backend and the process it starts, must share.
Must not be here: an algorithm, a cluster, a file format of an experiment. Imports no other layer.

The channels can be used without the rest: `from surreal.protocol import Node, StreamSender`, see docs/channels.md.
They are imported when they are asked for, so that who only wants an error or a wiring does not pay for ZeroMQ.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from surreal.protocol.channels import (
        Message,
        Node,
        Publisher,
        Relay,
        ServiceClient,
        ServiceServer,
        ShardedSender,
        StreamReceiver,
        StreamSender,
        Subscriber,
    )

__all__ = [
    "Message",
    "Node",
    "Publisher",
    "Relay",
    "ServiceClient",
    "ServiceServer",
    "ShardedSender",
    "StreamReceiver",
    "StreamSender",
    "Subscriber",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from surreal.protocol import channels

    return getattr(channels, name)
