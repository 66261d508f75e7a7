"""Receives until it is killed and writes the number of each message to a file.

usage: stream_receiver.py ADDRESS INCARNATION FILE
"""

import os
import sys

from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.transport.node import Node

address, incarnation, path = sys.argv[1:]
book = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
stream = StreamReceiver(Node("learner/0", int(incarnation)), address, window=8)
while message := stream.recv():
    os.write(book, f"{message.seq}\n".encode())
