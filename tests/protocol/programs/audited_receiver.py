"""Receives messages and prints what the interpreter's audit hooks see of unpickling, importing and running code.

usage: audited_receiver.py ADDRESS MESSAGES; it ends with its standard input
"""

import sys
from typing import Any

from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.transport.node import Node

FORBIDDEN = ("pickle.find_class", "marshal.load", "marshal.loads", "exec", "compile", "import", "os.system")
seen: list[str] = []


def audit(event: str, _: tuple[Any, ...]) -> None:
    if event in FORBIDDEN:
        seen.append(event)


address, count = sys.argv[1], int(sys.argv[2])
with Node("learner/0", 1) as node:
    receiver = StreamReceiver(node, address, window=4)
    receiver.recv()  # what is imported late is imported now
    sys.addaudithook(audit)
    for _ in range(count - 1):
        receiver.recv()
    heard = list(seen)
    sys.stdin.read()  # a receiver that is gone cannot repeat an acknowledgement that was lost on the way
    receiver.close()
for event in heard:
    print(event)
