"""Publishes a larger version whenever a line comes in, and says so.

usage: publisher.py ADDRESS INCARNATION BYTES
"""

import sys

import numpy as np

from surreal.protocol.broadcast.publisher import Publisher
from surreal.protocol.transport.node import Node

address, incarnation, size = sys.argv[1:]
publisher = Publisher(Node("learner/0", int(incarnation)), address)
for version, _ in enumerate(sys.stdin):
    publisher.publish({"weights": np.full(int(size) // 4, version, np.float32)}, {}, version)
    print(version, flush=True)
