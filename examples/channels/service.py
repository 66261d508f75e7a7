"""Service: two clients ask a server, which answers both at once where it can."""

import tempfile
import threading

import numpy as np

from surreal.protocol import Node, ServiceClient, ServiceServer

with tempfile.TemporaryDirectory() as folder:
    address = f"ipc://{folder}/inference"
    actions: dict[int, list[int]] = {}

    def act(index: int) -> None:
        with Node(f"actor/{index}", incarnation=1) as node:
            policy = ServiceClient(node, [address], window=8)  # the addresses of all replicas
            pending = [policy.submit({"observation": np.array([index, step])}, timeout=10) for step in range(3)]
            actions[index] = [int(each.result().arrays["action"]) for each in pending]
            policy.close()

    actors = [threading.Thread(target=act, args=(index,)) for index in range(2)]
    for actor in actors:
        actor.start()
    with Node("policy/0", incarnation=1) as node:
        server = ServiceServer(node, address, window=8)
        answered = 0
        while answered < 6:
            batch = server.gather(max_size=6, max_wait=0.1, timeout=10)  # batch.arrays["observation"]: (n, 2)
            batch.reply({"action": batch.arrays["observation"].sum(axis=1)})
            answered += len(batch)
        for actor in actors:
            actor.join()
        server.close()
    print(sorted(actions.items()))
