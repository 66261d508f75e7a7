"""Relays until killed.

usage: relay.py UPSTREAM ADDRESS INCARNATION
"""

import sys

from surreal.protocol.node import Node
from surreal.protocol.relay import Relay

upstream, address, incarnation = sys.argv[1:]
node = Node("weights-relay/0", int(incarnation))
relay = Relay(node, upstream, address)
print("relaying", flush=True)
node.stopping.wait()
