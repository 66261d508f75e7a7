"""Receives, or (busy) computes instead, until it is killed.

usage: bad_peer_victim.py ADDRESS KEY_FILE_OR_NOTHING BUSY
"""

import sys
from pathlib import Path

from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.transport.authorization import Access
from surreal.protocol.transport.curve_keys import Keys
from surreal.protocol.transport.node import Node

address, keys, busy = sys.argv[1:]
access = {address: Access("learner", frozenset({"actor"}))}
stream = StreamReceiver(Node("learner/0", 1, Keys.read(Path(keys)) if keys else None, access), address, window=8)
print("ready", flush=True)
while int(busy):
    sum(range(1000))
while True:
    stream.recv()
