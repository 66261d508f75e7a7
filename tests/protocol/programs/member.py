"""A member of a run until it is told to stop; says why.

usage: member.py CONTROL_ADDRESS NAME INCARNATION
"""

import sys

from surreal.protocol.membership.member import Member
from surreal.protocol.transport.node import Node

address, name, incarnation = sys.argv[1:]
with Node(name, int(incarnation)) as node:
    member = Member(node, address)
    node.stopping.wait()
    print(node.stop_reason, flush=True)
    member.close()
