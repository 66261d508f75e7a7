"""Publishes one value, serves control, then computes in pure Python until a file appears.

usage: busy_learner.py BROADCAST_ADDRESS CONTROL_ADDRESS INCARNATION FILE
"""

import os
import sys

import numpy as np

from surreal.protocol.broadcast.publisher import Publisher
from surreal.protocol.membership.server import Server
from surreal.protocol.transport.node import Node

address, control, incarnation, path = sys.argv[1:]
node = Node("learner/0", int(incarnation))
server = Server(node, control)
publisher = Publisher(node, address)
publisher.publish({"weights": np.full(100_000, 7.0)}, {}, 1)
print("busy", flush=True)
while not os.path.exists(path):
    sum(range(1000))
server.stop_all("the run is over", 10)
publisher.close()
server.close()
node.close()
