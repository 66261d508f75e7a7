"""Reads a broadcast until killed and prints each version that it waited for, with the first element.

usage: reader.py ADDRESS NAME
"""

import sys

from surreal.protocol.broadcast.subscriber import Subscriber
from surreal.protocol.transport.node import Node

address, name = sys.argv[1:]
subscriber = Subscriber(Node(name, 1), address)
newest = None
while True:
    message = subscriber.wait(newest)
    newest = message.version
    print(*newest, int(message.arrays["weights"][0]), flush=True)
