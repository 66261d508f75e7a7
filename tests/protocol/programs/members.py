"""Many members of a run until all of them are told to stop; says who was.

usage: members.py CONTROL_ADDRESS FIRST END
"""

import sys

from surreal.protocol.membership.member import Member
from surreal.protocol.transport.node import Node

address, first, end = sys.argv[1:]
nodes = [Node(f"actor/{i}", 1) for i in range(int(first), int(end))]
members = [Member(node, address) for node in nodes]
for node, member in zip(nodes, members, strict=True):
    node.stopping.wait()
    print(node.name, flush=True)
    member.close()
    node.close()
