"""Doubles what it is asked, until it is killed.

usage: service_server.py ADDRESS NAME INCARNATION
"""

import sys

from surreal.protocol.service.server import ServiceServer
from surreal.protocol.transport.node import Node

address, name, incarnation = sys.argv[1:]
server = ServiceServer(Node(name, int(incarnation)), address, window=16)
print("listening", flush=True)
server.serve(lambda arrays: {"y": arrays["x"] * 2}, max_size=8)
