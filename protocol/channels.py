"""What a program needs that uses the channels alone, see docs/channels.md: the names that `surreal.protocol` offers."""

from surreal.protocol.broadcast import Publisher, Subscriber
from surreal.protocol.message import Message
from surreal.protocol.node import Node
from surreal.protocol.relay import Relay
from surreal.protocol.service_client import ServiceClient
from surreal.protocol.service_server import ServiceServer
from surreal.protocol.stream_receiver import StreamReceiver
from surreal.protocol.stream_sender import StreamSender
from surreal.protocol.stream_sharded import ShardedSender

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
