"""Many senders in one process, each of which sends a number of messages as fast as it may.

usage: many_senders.py ADDRESS FIRST END WINDOW MESSAGES BYTES; prints `full` once every window is, for the first time
"""

import copy
import sys
import time

import numpy as np

from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.node import Node

address = sys.argv[1]
first, end, window, messages, size = map(int, sys.argv[2:])
node = Node("actor", 1)
left: dict[StreamSender, int] = {}
for index in range(first, end):
    each = copy.copy(node)  # another name in the same process
    each.name = f"actor/{index}"
    left[StreamSender(each, address, window, lossy=True)] = messages
full = False
while any(left.values()):
    progress = False
    for stream, count in left.items():
        if count and stream.send({"data": np.full(size, messages - count, np.uint8)}):
            left[stream] = count - 1
            progress = True
    if not progress:
        if not full and all(stream.stats.depth == window for stream in left):
            full = True
            print("full", flush=True)
        time.sleep(0.01)
for stream in left:
    stream.flush(120)
print("done", flush=True)
