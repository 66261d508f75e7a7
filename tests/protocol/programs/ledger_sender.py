"""Sends numbered messages until killed, and writes what it sent and what it knows to be acknowledged to a ledger.

usage: ledger_sender.py ADDRESS NAME INCARNATION LEDGER
"""

import os
import sys
import zlib
from itertools import count

import numpy as np

from surreal.protocol.node import Node
from surreal.protocol.stream_sender import StreamSender

address, name, incarnation, ledger = sys.argv[1:]
book = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
chance = np.random.default_rng(int(incarnation))
node = Node(name, int(incarnation))
stream = StreamSender(node, address, window=8)
for seq in count():
    array = chance.integers(0, 256, chance.integers(1, 100_000), dtype=np.uint8)
    os.write(book, f"{seq} {zlib.crc32(array.tobytes())} {seq - stream.stats.depth}\n".encode())
    stream.send({"data": array})
