"""Doubles what it is asked, until it is killed.

usage: service_server.py ADDRESS NAME INCARNATION
"""

import sys

from surreal.protocol.node import Node
from surreal.protocol.service_server import ServiceServer

address, name, incarnation = sys.argv[1:]
server = ServiceServer(Node(name, int(incarnation)), address, window=16)
print("listening", flush=True)
server.serve(lambda arrays: {"y": arrays["x"] * 2}, max_size=8)
