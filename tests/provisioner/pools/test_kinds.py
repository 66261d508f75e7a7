"""Nodes that the scheduler tells apart are pools of their own, with names that can be read and stay."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surreal.provisioner.machine_types import machine_table
from surreal.provisioner.pools.from_nodes import inventory
from surreal.provisioner.pools.model import NodePool
from tests.provisioner.nodes import CONTROL_PLANE, control_plane, node

MACHINE, GPU = "node.kubernetes.io_instance-type", "nvidia.com/gpu"
PRODUCT = "nvidia.com_gpu.product"


def pools(*nodes: dict[str, Any], pods: list[dict[str, Any]] | None = None) -> dict[str, NodePool]:
    return {pool.name: pool for pool in inventory(nodes, pods or [], machine_table())}


def matching(pool: NodePool, *nodes: dict[str, Any]) -> set[str]:
    """The nodes that a pod for `pool` may land on by labels alone."""
    found = [each["metadata"] for each in nodes if dict(pool.selector).items() <= each["metadata"]["labels"].items()]
    return {each["name"] for each in found if not pool.hosts or each["name"] in pool.hosts}


def test_tainted_control_plane_machines_are_a_pool_of_their_own() -> None:
    found = pools(control_plane("boss"), node("one"), node("two"))
    assert {name: (pool.nodes, pool.control_plane) for name, pool in found.items()} == {
        "nodes": (2, False),
        "nodes/control-plane": (1, True),
    }
    assert found["nodes"].taints == ()


def test_a_control_plane_machine_that_ours_marks_as_a_pool_is_an_ordinary_one() -> None:
    boss = control_plane("boss", tainted=False, **{"surreal.dev_pool": "cpu"})
    assert set(pools(boss, node("one", **{"surreal.dev_pool": "cpu"}))) == {"cpu"}


def test_machines_of_clearly_unequal_size_are_apart_and_those_that_differ_by_the_kernels_share_are_not() -> None:
    found = pools(node("a", 6, "24Gi"), node("b", 6, "23.7Gi"), node("c", 48, "190Gi"), node("d", 6, "12Gi"))
    assert {name: pool.nodes for name, pool in found.items()} == {
        "nodes/6cpu-24Gi": 2,
        "nodes/48cpu-190Gi": 1,
        "nodes/6cpu-12Gi": 1,
    }


def test_machines_with_gpus_are_apart_by_model_and_number() -> None:
    card, other = {PRODUCT: "NVIDIA-T4"}, {PRODUCT: "NVIDIA-L40S"}
    nodes = [
        node("t", offers={GPU: 1}, **card),
        node("tt", offers={GPU: 2}, **card),
        node("l", offers={GPU: 1}, **other),
        node("c"),
    ]
    found = pools(*nodes)
    assert {name: (pool.gpus, pool.gpu_type) for name, pool in found.items()} == {
        "nodes": (0, None),
        "nodes/1x-nvidia-t4": (1, "NVIDIA-T4"),
        "nodes/2x-nvidia-t4": (2, "NVIDIA-T4"),
        "nodes/1x-nvidia-l40s": (1, "NVIDIA-L40S"),
    }
    assert matching(found["nodes/1x-nvidia-l40s"], *nodes) == {"l"}
    assert matching(found["nodes"], *nodes) == {"c"}, "by name, as no label says that it has no GPU"


@pytest.mark.parametrize("resource", ["amd.com/gpu", "nvidia.com/mig-3g.20gb", "google.com/tpu", "habana.ai/gaudi"])
def test_accelerators_of_any_name_are_seen(resource: str) -> None:
    found = pools(node("plain"), node("fast", offers={resource: 4}))
    (fast,) = (pool for pool in found.values() if pool.has_accelerators)
    assert (dict(fast.accelerators), fast.gpus) == ({resource: 4}, 0)
    assert not found["nodes"].has_accelerators


def test_a_gpu_machine_whose_driver_offers_nothing_yet_is_no_plain_one() -> None:
    labels = {"cloud.google.com_gke-accelerator": "nvidia-l4"}
    assert all(pool.has_accelerators for pool in pools(node("a", **labels)).values())


def test_architectures_and_operating_systems_are_apart() -> None:
    nodes = [node("a"), node("b", arch="arm64"), node("w", os="windows")]
    found = pools(*nodes)
    assert {name: (pool.os, pool.arch) for name, pool in found.items()} == {
        "nodes/amd64": ("linux", "amd64"),
        "nodes/arm64": ("linux", "arm64"),
        "nodes/amd64-windows": ("windows", "amd64"),
    }


def test_a_group_whose_machines_are_equal_keeps_its_name_whatever_their_number() -> None:
    labels = {"doks.digitalocean.com_node-pool": "blue", MACHINE: "s-8vcpu-16gb"}
    for count in (1, 5):
        assert set(pools(*(node(f"n{i}", **labels) for i in range(count)))) == {"blue"}


def test_pools_of_a_platform_are_found_by_its_own_label_and_a_taint_of_one_is_not_the_others() -> None:
    size = {MACHINE: "s-8vcpu-16gb"}
    found = pools(
        node("n1", **size, **{"doks.digitalocean.com_node-pool": "blue"}),
        node("n2", taints={"team": "video:NoSchedule"}, **size, **{"doks.digitalocean.com_node-pool": "green"}),
    )
    assert found["blue"].taints == ()
    assert [taint.key for taint in found["green"].taints] == ["team"]


def test_tainted_machines_of_one_group_are_named_by_what_they_are_kept_for() -> None:
    kept = node("k", taints={"lab.example/team": "video:NoSchedule"})
    assert set(pools(node("a"), kept)) == {"nodes", "nodes/team-video"}


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("cloud.google.com_gke-preemptible", "true"),
        ("cloud.google.com_gke-provisioning", "spot"),
        ("eks.amazonaws.com_capacityType", "SPOT"),
        ("karpenter.sh_capacity-type", "spot"),
        ("kubernetes.azure.com_scalesetpriority", "spot"),
        ("node.kubernetes.io_lifecycle", "spot"),
        ("oci.oraclecloud.com_oke-is-preemptible", "true"),
        ("surreal.dev_spot", "true"),
    ],
)
def test_spot_machines_are_known_by_the_mark_of_any_platform_and_selected_by_it(label: str, value: str) -> None:
    nodes = [node("steady"), node("cheap", **{label: value})]
    (spot,) = (pool for pool in pools(*nodes).values() if pool.spot)
    assert spot.selector[label.replace("_", "/")] == value
    (steady,) = (pool for pool in pools(*nodes).values() if not pool.spot)
    assert matching(steady, *nodes) == {"steady"}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"spec": {"unschedulable": True}}, "cordoned"),
        ({"ready": "Unknown"}, "not ready"),
        ({"taints": {"node.kubernetes.io/disk-pressure": ":NoSchedule"}}, "under pressure"),
        ({"taints": {"ToBeDeletedByClusterAutoscaler": "1:NoSchedule"}}, "being removed"),
        ({"taints": {"ebs.csi.aws.com/agent-not-ready": ":NoExecute"}}, "starting"),
    ],
)
def test_nodes_that_take_no_pods_now_are_counted_with_the_reason(more: dict[str, Any], reason: str) -> None:
    (pool,) = pools(node("a"), node("b", **more)).values()
    assert (pool.nodes, dict(pool.closed)) == (2, {reason: 1})
    assert sorted(room.cpu for room in pool.rooms) == [0.0, 8.0]


def test_machines_of_no_cloud_are_as_many_as_there_are() -> None:
    assert pools(node("a"), node("b"))["nodes"].fixed
    assert not pools(node("a", spec={"providerID": "openstack:///x"}))["nodes"].fixed
    assert not pools(node("a", **{"lke.linode.com_pool-id": "7"}))["7"].fixed
    assert pools(node("a", offers={GPU: 1}), node("b", offers={GPU: 1}))["nodes"].max_nodes == 2


sizes = st.tuples(st.sampled_from([2, 3.9, 4, 16]), st.sampled_from(["3900Mi", "4Gi", "15.6Gi", "16Gi", "64Gi"]))


@given(st.lists(st.tuples(sizes, st.integers(0, 4), st.booleans()), min_size=1, max_size=9))
def test_whatever_the_nodes_are_free_is_never_more_than_there_is_and_names_are_different(
    drawn: list[tuple[tuple[float, str], int, bool]],
) -> None:
    nodes = [
        node(f"n{i}", cpu, memory, offers={GPU: gpus} if gpus else None, taints={"a": "b:NoSchedule"} if kept else None)
        for i, ((cpu, memory), gpus, kept) in enumerate(drawn)
    ]
    listed = inventory(nodes, [], machine_table())
    assert len({pool.name for pool in listed}) == len(listed)
    assert sum(pool.nodes for pool in listed) == len(nodes)
    for pool in listed:
        data = pool.to_data()
        assert all(data["free"][key] <= data["allocatable"][key] for key in ("cpu", "memory", "gpus"))


def test_the_control_planes_taint_is_no_taint_of_the_workers_on_openshift_and_rke2() -> None:
    master = node("m", taints={"node-role.kubernetes.io/master": ":NoSchedule"}, **{MACHINE: "m6i.xlarge"})
    both = node("b", taints={CONTROL_PLANE: "true:NoSchedule", "node-role.kubernetes.io/etcd": "true:NoExecute"})
    found = pools(master, both, node("w", **{MACHINE: "m6i.xlarge"}), node("v"))
    assert {name for name, pool in found.items() if not pool.control_plane} == {"m6i.xlarge", "nodes"}
    assert all(pool.taints == () for pool in found.values() if not pool.control_plane)
