"""Stream: two senders, one receiver. Every message arrives once and in its sender's order."""

import tempfile
import threading

import numpy as np

from surreal.protocol import Node, StreamReceiver, StreamSender

with tempfile.TemporaryDirectory() as folder:
    address = f"ipc://{folder}/experience"

    def act(index: int) -> None:
        with Node(f"actor/{index}", incarnation=1) as node:
            sender = StreamSender(node, address, window=8)
            for step in range(3):
                sender.send({"rewards": np.full(4, step, np.float32)}, {"step": step})  # waits at 8 unacknowledged
            sender.close(timeout=10)  # flushes

    actors = [threading.Thread(target=act, args=(index,)) for index in range(2)]
    for actor in actors:
        actor.start()
    with Node("learner/0", incarnation=1) as node:
        receiver = StreamReceiver(node, address, window=8)
        for _ in range(6):
            if message := receiver.recv(timeout=10):
                print(message.sender, message.seq, message.meta, message.arrays["rewards"].sum())
        for actor in actors:
            actor.join()  # the receiver's I/O thread acknowledges meanwhile
        receiver.close()
