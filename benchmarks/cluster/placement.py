"""CPU time that reading the nodes of a large cluster and placing many roles on them take.

    python benchmarks cluster.placement [--nodes 10000] [--pods 20000] [--roles 100]

A synthetic cluster: ten pools on GKE's labels, every third one of spot machines, pods of others on the nodes at random.
Timed: the nodes' and pods' JSON text to pools, then 100 roles with 20,000 processes in all on these. What a cluster's
API takes to send the text is not in it.
"""

import argparse
import json
import random
import time
from typing import Any

from surreal.orchestrator.experiment.model import ResourcesSpec, RoleSpec
from surreal.orchestrator.plan.assignment import fleet
from surreal.protocol.graph import Role
from surreal.provisioner.machine_types import machine_table
from surreal.provisioner.pools.from_nodes import inventory
from surreal.provisioner.pools.labels import node_labels, node_taints
from surreal.provisioner.pools.model import NodePool

POOLS = 10


def cluster(nodes: int, pods: int, seed: int = 1) -> tuple[str, str]:
    """The text of the API's answers for nodes and for pods."""
    draw = random.Random(seed)
    return (
        json.dumps({"items": [_node(index) for index in range(nodes)]}),
        json.dumps({"items": [_pod(draw, nodes) for _ in range(pods)]}),
    )


def roles(count: int, seed: int = 1) -> tuple[list[Role], dict[str, RoleSpec]]:
    """`count` roles of very different sizes, 200 processes each."""
    draw = random.Random(seed)
    described = [Role(f"role-{i}", run="m:f", expendable=i % 2 == 0) for i in range(count)]
    specs = {
        role.name: RoleSpec(
            replicas=200,
            resources=ResourcesSpec(cpu=draw.choice([0.25, 0.5, 1, 2, 4]), memory=draw.randint(1, 12) * 2**28, gpu=0),
            pool=None,
            spot=None,
            env={},
        )
        for role in described
    }
    return described, specs


def read(nodes: str, pods: str) -> tuple[NodePool, ...]:
    """Text -> pools."""
    return inventory(json.loads(nodes)["items"], json.loads(pods)["items"], machine_table())


def measure(nodes: int, pods: int, count: int) -> dict[str, float]:
    """CPU seconds of each part: all of it is one thread, and other work on the machine does not count."""
    texts = cluster(nodes, pods)
    described, specs = roles(count)
    machine_table()
    started = time.process_time()
    pools = read(*texts)
    middle = time.process_time()
    placed = fleet(described, specs, pools, dict.fromkeys(specs, "surreal"))
    ended = time.process_time()
    assert not placed.problems and len(placed.places) == count
    return {"read": middle - started, "place": ended - middle, "both": ended - started}


def _node(index: int) -> dict[str, Any]:
    pool = index % POOLS
    spot = pool % 3 == 0
    labels = node_labels("gke", f"pool-{pool}", spot) | {
        "cloud.google.com/gke-nodepool": f"pool-{pool}",
        "node.kubernetes.io/instance-type": "n2-standard-8",
        "topology.kubernetes.io/zone": f"us-central1-{'abc'[index % 3]}",
        "topology.kubernetes.io/region": "us-central1",
    }
    taints = [{"key": t.key, "value": t.value, "effect": t.effect} for t in node_taints("gke", f"pool-{pool}", spot)]
    return {
        "metadata": {"name": f"node-{index}", "labels": labels},
        "spec": {"taints": taints},
        "status": {
            "allocatable": {"cpu": "7910m", "memory": f"{29054000 - index % 7}Ki", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def _pod(draw: random.Random, nodes: int) -> dict[str, Any]:
    requests = {"cpu": f"{draw.randint(1, 20) * 50}m", "memory": f"{draw.randint(1, 30) * 64}Mi"}
    return {
        "metadata": {"ownerReferences": [{"kind": draw.choice(["DaemonSet", "ReplicaSet", "ReplicaSet"])}]},
        "spec": {"nodeName": f"node-{draw.randrange(nodes)}", "containers": [{"resources": {"requests": requests}}]},
        "status": {"phase": "Running"},
    }


def main() -> None:
    """Print the CPU seconds of three rounds."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("nodes", 10_000), ("pods", 20_000), ("roles", 100)):
        options.add_argument(f"--{name}", type=int, default=default)
    given = options.parse_args()
    for _ in range(3):
        seconds = measure(given.nodes, given.pods, given.roles)
        print("  ".join(f"{name} {value:.2f} s" for name, value in seconds.items()))


if __name__ == "__main__":
    main()
