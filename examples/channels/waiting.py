"""Waiting for several channels: a reader sleeps until its stream or its weights have something."""

import tempfile

import numpy as np

from surreal.protocol import Node, Publisher, Selector, StreamReceiver, StreamSender, Subscriber

with tempfile.TemporaryDirectory() as folder:
    stream, weights = f"ipc://{folder}/experience", f"ipc://{folder}/weights"
    with Node("learner/0", incarnation=1) as node, Node("actor/0", incarnation=1) as peer:
        receiver, subscriber = StreamReceiver(node, stream, window=4), Subscriber(node, weights)
        sender, publisher = StreamSender(peer, stream, window=4), Publisher(peer, weights)
        selector = Selector(node)
        for act in (lambda: sender.send({"x": np.ones(3)}), lambda: publisher.publish({"w": np.ones(2)}, {}, 1)):
            act()
            for channel in selector.wait([receiver, subscriber], timeout=10):
                if channel is receiver and (message := receiver.recv(timeout=0)):
                    print("from", message.sender, message.arrays["x"].sum())
                elif channel is subscriber and (newest := subscriber.latest()):
                    print("version", newest.version)
        for end in (selector, sender, publisher, receiver, subscriber):
            end.close()
