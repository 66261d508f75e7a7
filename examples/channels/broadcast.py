"""Broadcast: one writer, many readers. A reader gets the newest version, skips what it missed, and never goes back."""

import tempfile
import threading

import numpy as np

from surreal.protocol import Message, Node, Publisher, Subscriber

with tempfile.TemporaryDirectory() as folder:
    address = f"ipc://{folder}/weights"
    seen: dict[int, Message] = {}

    def read(index: int) -> None:
        with Node(f"actor/{index}", incarnation=1) as node:
            weights = Subscriber(node, address)
            newest = weights.wait(timeout=10)  # any version
            while newest.version < (1, 3):
                newest = weights.wait(newer_than=newest.version, timeout=10)
            seen[index] = newest
            weights.close()

    actors = [threading.Thread(target=read, args=(index,)) for index in range(2)]
    for actor in actors:
        actor.start()
    with Node("learner/0", incarnation=1) as node:
        publisher = Publisher(node, address)
        for version in range(1, 4):
            publisher.publish({"w": np.full(2, version, np.float32)}, {}, version)
        for actor in actors:
            actor.join()
        publisher.close()
    for index, newest in sorted(seen.items()):
        print(f"actor/{index} has version {newest.version}:", newest.arrays["w"])
