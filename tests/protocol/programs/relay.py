"""Relays until killed.

usage: relay.py UPSTREAM ADDRESS INCARNATION
"""

import sys

from surreal.protocol.broadcast.relay import Relay
from surreal.protocol.transport.node import Node

upstream, address, incarnation = sys.argv[1:]
node = Node("weights-relay/0", int(incarnation))
relay = Relay(node, upstream, address)
print("relaying", flush=True)
node.stopping.wait()
