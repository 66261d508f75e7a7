"""Nodes of each platform -> pools. The lists in data/nodes are built from the platforms' documented labels."""

import json
from pathlib import Path
from typing import Any

import pytest

from surreal.provisioner.kube.resources import quantity
from surreal.provisioner.machine_types import machine_table
from surreal.provisioner.pools.from_nodes import inventory, merged
from surreal.provisioner.pools.labels import Taint
from surreal.provisioner.pools.model import NodePool, Room

NODES = Path(__file__).parent / "data/nodes"
MIB = 1 << 20


def read(name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    document = json.loads((NODES / f"{name}.json").read_text())
    return document["nodes"], document["pods"]


def pools(name: str) -> dict[str, NodePool]:
    nodes, pods = read(name)
    return {pool.name: pool for pool in inventory(nodes, pods, machine_table())}


PLATFORMS = {
    "gke": {
        "actors": ("n2-standard-8", 2, True, 0, 0.094),
        "default-pool": ("n2-standard-8", 2, False, 0, 0.3885),
        "learners": ("g2-standard-8", 1, False, 1, 0.91),
    },
    "eks": {
        "actors": ("c7i.4xlarge", 1, True, 0, None),
        "learners": ("g6.2xlarge", 1, False, 1, 0.9776),
        "system": ("m7i.2xlarge", 1, False, 0, 0.4032),
    },
    "karpenter": {
        "default/c7i.4xlarge-spot": ("c7i.4xlarge", 2, True, 0, None),
        "default/m7i.large": ("m7i.large", 1, False, 0, 0.1008),
        "default/m7i.large-spot": ("m7i.large", 1, True, 0, None),
        "gpu": ("g5.xlarge", 1, False, 1, 1.006),
    },
    "aks": {
        "gpu": ("Standard_NC4as_T4_v3", 1, False, 1, None),
        "spot": ("Standard_D8s_v5", 1, True, 0, None),
        "system": ("Standard_D8s_v5", 1, False, 0, None),
    },
    "minikube": {"actors": (None, 1, False, 0, None), "minikube": (None, 1, False, 0, None)},
}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_pools_of_a_platform_are_read_from_its_labels(platform: str) -> None:
    found = pools(platform)
    assert {n: (p.machine, p.nodes, p.spot, p.gpus, p.price) for n, p in found.items()} == PLATFORMS[platform]
    assert {pool.provider for pool in found.values()} == {platform}


SELECTORS = {
    ("gke", "default-pool"): {"cloud.google.com/gke-nodepool": "default-pool"},
    ("gke", "actors"): {"surreal.dev/pool": "actors", "cloud.google.com/gke-spot": "true"},
    ("eks", "system"): {"eks.amazonaws.com/nodegroup": "system"},
    ("eks", "actors"): {"surreal.dev/pool": "actors", "eks.amazonaws.com/capacityType": "SPOT"},
    ("karpenter", "default/m7i.large"): {
        "karpenter.sh/nodepool": "default",
        "node.kubernetes.io/instance-type": "m7i.large",
        "karpenter.sh/capacity-type": "on-demand",
    },
    ("karpenter", "gpu"): {"karpenter.sh/nodepool": "gpu"},
    ("aks", "spot"): {"kubernetes.azure.com/agentpool": "spot", "kubernetes.azure.com/scalesetpriority": "spot"},
    ("minikube", "actors"): {"surreal.dev/pool": "actors"},
}


@pytest.mark.parametrize(("platform", "name"), SELECTORS)
def test_a_pool_is_selected_by_labels_that_its_nodes_have_and_others_have_not(platform: str, name: str) -> None:
    selector = dict(pools(platform)[name].selector)
    assert selector == SELECTORS[platform, name]
    matching = [n for n in read(platform)[0] if n["status"] and selector.items() <= n["metadata"]["labels"].items()]
    assert len(matching) == pools(platform)[name].nodes


def test_gpu_types_are_named_as_each_platform_names_them() -> None:
    types = {p: {pool.gpu_type for pool in pools(p).values()} - {None} for p in ("gke", "eks", "karpenter", "aks")}
    assert types == {"gke": {"nvidia-l4"}, "eks": {"nvidia-l4"}, "karpenter": {"a10g"}, "aks": {"Tesla-T4"}}


def test_taints_that_stay_are_kept_and_those_of_a_passing_state_are_not() -> None:
    assert pools("gke")["actors"].taints == (Taint("cloud.google.com/gke-spot", "true"),)
    assert pools("karpenter")["default/c7i.4xlarge-spot"].taints == ()
    assert pools("karpenter")["gpu"].taints == (Taint("nvidia.com/gpu", "true"), Taint("team", "vision"))


def test_nodes_that_take_no_pods_now_count_and_have_no_room() -> None:
    rooms = pools("gke")["actors"].rooms
    assert sorted((room.nodes, room.cpu) for room in rooms) == [(1, 0.0), (1, 7.81)]
    assert sum(room.cpu for room in pools("karpenter")["default/c7i.4xlarge-spot"].rooms) == 15.89


def test_what_daemons_ask_for_is_taken_off_every_node_and_what_others_use_off_the_room() -> None:
    pool = pools("gke")["default-pool"]
    # 7.91 - 0.1 for logs - 0.1 for the mirror of a static pod, though it is on one node only
    assert pool.cpu == 7.71
    assert pool.memory == 29054016 * 1024 // MIB * MIB - 200 * MIB
    used = {room.cpu for room in pool.rooms}
    # 2 CPUs of somebody's web server; the job that has succeeded uses nothing
    assert used == {round(7.91 - 0.2 - 2, 3), 7.81}


def test_an_init_container_that_is_larger_than_the_rest_is_what_the_pod_asks_for() -> None:
    (room,) = pools("gke")["learners"].rooms
    assert (room.cpu, room.gpus) == (round(7.91 - 0.1 - 3, 3), 0)


def test_without_a_list_of_pods_nodes_count_as_free_and_their_use_as_unknown() -> None:
    nodes, _ = read("gke")
    pool = next(pool for pool in inventory(nodes, None, machine_table()) if pool.name == "learners")
    assert pool.free == (Room(1, 7.91, pool.memory, 1, 110),)
    assert pool.to_data()["used"] is None


def test_all_nodes_together_are_shown_as_there_used_and_free() -> None:
    data = pools("gke")["learners"].to_data()
    assert data["allocatable"]["gpus"] == 1
    assert (data["used"]["gpus"], data["free"]["gpus"]) == (1, 0)
    assert data["used"]["cpu"] + data["free"]["cpu"] == pytest.approx(data["allocatable"]["cpu"])


def test_nodes_without_any_known_label_are_one_pool_that_every_pod_may_use() -> None:
    node = {
        "metadata": {"name": "a"},
        "spec": {},
        "status": {
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    (pool,) = inventory([node], [], machine_table())
    assert (pool.name, pool.provider, dict(pool.selector), pool.cpu) == ("nodes", "existing", {}, 4.0)


def test_one_name_on_two_platforms_is_two_pools() -> None:
    nodes = [*read("eks")[0], *read("karpenter")[0]]
    managed = nodes[0]["metadata"]["labels"]
    managed["eks.amazonaws.com/nodegroup"] = "gpu"
    found = {pool.name: dict(pool.selector) for pool in inventory(nodes, [], machine_table())}
    assert found["gpu/eks"] == {"eks.amazonaws.com/nodegroup": "gpu"}
    assert found["gpu/karpenter"] == {"karpenter.sh/nodepool": "gpu"}
    assert len(found) == 7


def test_a_cluster_file_gives_bounds_to_pools_that_are_there_and_adds_those_that_are_not() -> None:
    declared = [
        NodePool("actors", 0, 7, 2**30, provider="gke", min_nodes=0, max_nodes=40),
        NodePool("empty", 0, 7, 2**30, provider="gke", min_nodes=0, max_nodes=3),
    ]
    both = {pool.name: (pool.nodes, pool.max_nodes) for pool in merged(declared, list(pools("gke").values()))}
    assert both == {"empty": (0, 3), "actors": (2, 40), "default-pool": (2, None), "learners": (1, None)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3920m", 3.92), ("2", 2.0), ("29054020Ki", 29054020 * 1024), ("16Gi", 2**34), ("1e3", 1000.0), ("1E", 1e18),
        ("128974848000m", 128974848.0), (4, 4.0), ("0.5", 0.5), ("12X", 0.0), ("", 0.0), ("1.2.3", 0.0),
    ],
)  # fmt: skip
def test_kubernetes_quantities_are_numbers(text: str | int, value: float) -> None:
    assert quantity(text) == pytest.approx(value)
