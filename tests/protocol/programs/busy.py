"""Joins a run, then computes without a word, then goes on until it is killed.

usage: busy.py server|member CONTROL_ADDRESS python|c|told SECONDS

`python` computes in a thread of Python that never waits. `c` is one call into C that holds the GIL all the time, `told`
is one that ends by a byte of the standard input.
"""

import ctypes
import sys
import time

from surreal.protocol.membership.member import Member
from surreal.protocol.membership.server import Server
from surreal.protocol.transport.node import Node

end, address, how, seconds = sys.argv[1:]
node = Node("learner/0" if end == "server" else "actor/0", 1)
if end == "server":
    server = Server(node, address)
    while not server.alive("actor"):
        time.sleep(0.01)
else:
    member = Member(node, address)
    while not member._incarnation:
        time.sleep(0.01)
print("busy", flush=True)
if how == "told":
    # holds the interpreter's lock until a byte comes, so that no thread of Python runs meanwhile
    ctypes.PyDLL(None).read(0, ctypes.create_string_buffer(1), 1)
if how == "c":
    ctypes.PyDLL(None).usleep(int(float(seconds) * 1e6))
deadline = time.monotonic() + float(seconds)
while how == "python" and time.monotonic() < deadline:
    sum(range(1000))
print("back", flush=True)
node.stopping.wait()
