"""A real Ray cluster of several raylets on this machine, as a process of its own: `python -P raylets.py WORKERS`.

Prints its address as JSON, then obeys lines: `add` starts one more raylet, `elsewhere` one that has file systems of its
own, as on another machine (as root, on Linux), `gcs` kills the head's GCS and starts one. Ends with its standard input.
Instead of their number, the workers' groups can be named (`learner,actor`): each raylet then is of one, as KubeRay says
it. `PORT` as a second argument is that of the GCS.
"""

import ctypes
import json
import os
import sys
from typing import Any

from ray.cluster_utils import Cluster

STORE = 80_000_000
CPUS = 4
CLONE_NEWNS = 0x20000
"""Flag of Linux for file systems of one's own."""


def main(workers: list[str], port: int | None) -> None:
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE, "gcs_server_port": port}
    cluster = Cluster(initialize_head=True, head_node_args={k: v for k, v in head.items() if v is not None})

    def add(group: str = "") -> None:
        os.environ["RAY_NODE_TYPE_NAME"] = group
        cluster.add_node(num_cpus=CPUS, memory=8 * 2**30, object_store_memory=STORE, wait=False)

    for group in workers:
        add(group)
    print(json.dumps({"address": cluster.address}), flush=True)
    for line in sys.stdin:
        if line.strip() == "elsewhere":
            assert ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0
        if line.strip() == "gcs":
            head_node: Any = cluster.head_node
            head_node.kill_gcs_server()
            head_node.start_gcs_server()
        else:
            add(workers[-1])
        print(json.dumps({"done": True}), flush=True)
    cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    asked = sys.argv[1]
    main([""] * int(asked) if asked.isdecimal() else asked.split(","), int(sys.argv[2]) if len(sys.argv) > 2 else None)
