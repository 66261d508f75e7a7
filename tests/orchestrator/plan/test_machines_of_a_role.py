"""Machines that a role may not have, must share, or asks for by the kind of its accelerator."""

from typing import Any

import pytest

from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.pod_model import default_image
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.machine_types import machine_table
from surreal.provisioner.pools.from_nodes import inventory
from tests.orchestrator.documents import minimal
from tests.provisioner.nodes import control_plane, node

AKS = "kubernetes.azure.com_agentpool"
GPU, MIG = "nvidia.com/gpu", "nvidia.com/mig-2g.10gb"


def plan(*nodes: dict[str, Any], **roles: dict[str, Any]) -> Plan:
    return make_plan(Experiment.from_data(minimal(roles=roles)), inventory(nodes, [], machine_table()))


def pools(planned: Plan) -> set[str]:
    return {name for role in planned.roles for name in (role.pool, *role.fallback)}


def refused(*nodes: dict[str, Any], **roles: dict[str, Any]) -> str:
    with pytest.raises(InvalidInput) as caught:
        plan(*nodes, **roles)
    return str(caught.value)


def test_the_control_plane_is_never_taken_unasked_and_its_taint_never_tolerated() -> None:
    planned = plan(control_plane("boss"), node("w1"), node("w2"))
    assert pools(planned) == {"nodes"}
    assert [toleration for role in planned.roles for toleration in role.tolerations] == []


def test_an_untainted_control_plane_is_kept_too_while_there_are_workers() -> None:
    planned = plan(control_plane("boss", tainted=False), node("w1"))
    assert {role.selectors[0]["kubernetes.io/hostname"] for role in planned.roles} == {("w1",)}
    alone = plan(control_plane("boss", tainted=False))
    assert pools(alone) == {"nodes"}, "the only machine of a small cluster does both"


def test_the_control_plane_is_taken_where_a_role_names_it() -> None:
    planned = plan(control_plane("boss"), node("w1"), learner={"pool": "nodes/control-plane"})
    assert planned.role("learner").pool == "nodes/control-plane"
    assert planned.role("learner").tolerations[0].key == "node-role.kubernetes.io/control-plane"


def test_the_name_of_a_group_means_its_workers_and_not_what_is_kept_for_others() -> None:
    planned = plan(
        control_plane("boss"), node("small", 2, "8Gi"), node("large", 32, "128Gi"), learner={"pool": "nodes"}
    )
    assert "control-plane" not in " ".join(pools(planned))


def test_a_role_gets_the_machine_that_is_large_enough_though_others_are_small() -> None:
    asks = {"resources": {"cpu": 24, "memory": "96Gi"}}
    planned = plan(node("small", 2, "8Gi"), node("large", 32, "128Gi"), learner=asks)
    assert planned.role("learner").pool == "nodes/32cpu-128Gi"


def test_one_machine_with_gpus_is_not_taken_for_many() -> None:
    nodes = [node("gpu", offers={GPU: 2}), node("a"), node("b")]
    assert plan(*nodes, learner={"resources": {"gpu": 1}}).role("learner").pool == "nodes/2x-gpu"
    said = refused(*nodes, actor={"replicas": 3, "resources": {"gpu": 1}})
    assert "must be 2 or less, not 3: pool 'nodes/2x-gpu' (1 machines)" in said


def test_windows_machines_are_for_no_role_and_pods_say_linux() -> None:
    nodes = [node("w", os="windows", **{AKS: "awin"}), node("l", **{AKS: "lin"})]
    planned = plan(*nodes)
    assert pools(planned) == {"lin"}
    assert all(each["kubernetes.io/os"] == "linux" for role in planned.roles for each in role.selectors)
    said = refused(*nodes, learner={"pool": "awin"})
    assert "spec.roles.learner.pool: must be a pool of Linux machines: those of 'awin' run windows" in said


def test_all_roles_of_an_image_are_on_the_architecture_of_most_nodes_and_it_is_said() -> None:
    nodes = [node("a", arch="arm64", **{AKS: "arm"}), node("c", **{AKS: "x"}), node("d", **{AKS: "x"})]
    planned = plan(*nodes)
    assert pools(planned) == {"x"}
    assert {role.selectors[0]["kubernetes.io/arch"] for role in planned.roles} == {"amd64"}
    assert any("is taken to be for amd64: pool arm has another architecture" in text for text in planned.warnings)


def test_a_pool_that_is_named_decides_the_architecture_of_all_roles_of_the_image() -> None:
    nodes = [node("a", arch="arm64", **{AKS: "arm"}), node("c", **{AKS: "x"}), node("d", **{AKS: "x"})]
    assert pools(plan(*nodes, learner={"pool": "arm"})) == {"arm"}


def test_roles_that_name_pools_of_two_architectures_need_two_images() -> None:
    nodes = [node("a", arch="arm64", **{AKS: "arm"}), node("c", **{AKS: "x"})]
    said = refused(*nodes, learner={"pool": "arm"}, actor={"pool": "x"})
    assert "would mix architectures of image" in said
    planned = plan(*nodes, learner={"pool": "arm", "image": "mine:arm"}, actor={"pool": "x"})
    assert planned.role("learner").pool == "arm"
    assert planned.role("actor").pool == "x"


def test_a_role_with_a_gpu_of_nvidia_has_the_image_with_cuda_unless_the_file_names_one() -> None:
    gpus = node("g", 32, "128Gi", offers={"nvidia.com/gpu": 1, MIG: 7, "amd.com/gpu": 1}, **{AKS: "gpu"})
    asked = {"resources": {"gpu": 1}}
    planned = plan(gpus, learner=asked)
    assert {role.name: role.image for role in planned.roles} == {
        "learner": default_image(cuda=True),
        "actor": default_image(),
        "evaluator": default_image(),
    }
    assert plan(gpus, learner={"resources": {"gpu": 1, "gpuResource": MIG}}).role("learner").image.endswith("-cuda")
    assert plan(gpus, learner={**asked, "image": "mine:1"}).role("learner").image == "mine:1"
    assert not any("has no torch" in text for text in planned.warnings)


def test_a_gpu_that_the_default_image_cannot_use_is_warned_of() -> None:
    gpus = node("g", 32, "128Gi", offers={"amd.com/gpu": 1}, **{AKS: "gpu"})
    asked = {"resources": {"gpu": 1, "gpuResource": "amd.com/gpu"}}
    said = "learner asks for amd.com/gpu and computes on the CPU: " + default_image()
    assert any(text.startswith(said) for text in plan(gpus, learner=asked).warnings)
    own = plan(gpus, learner={**asked, "image": "mine:rocm"})
    assert not any("computes on the CPU" in text for text in own.warnings)


@pytest.mark.parametrize("resource", ["amd.com/gpu", MIG, "nvidia.com/gpu.shared", "aws.amazon.com/neuroncore"])
def test_machines_with_any_accelerator_are_last_for_roles_without(resource: str) -> None:
    fast = node("fast", 96, "900Gi", offers={resource: 8}, **{AKS: "afast"})
    assert pools(plan(fast, node("c", 16, "64Gi", **{AKS: "cpu"}))) == {"cpu"}
    assert "actor asks for no GPU and runs on pool 'afast'" in " ".join(plan(fast).warnings)


def test_a_slice_of_a_gpu_is_asked_for_by_its_name() -> None:
    fast = node("fast", offers={GPU: 0, MIG: 3}, taints={GPU: "present:NoSchedule"}, **{AKS: "dgx"})
    nodes = [fast, node("c", **{AKS: "cpu"})]
    planned = plan(*nodes, learner={"resources": {"gpu": 1, "gpuResource": MIG}})
    learner = planned.role("learner")
    assert (learner.pool, learner.resources.gpu_resource) == ("dgx", MIG)
    assert {toleration.key for toleration in learner.tolerations} == {GPU, MIG}
    assert refused(*nodes, learner={"resources": {"gpu": 1}}).endswith(
        f"not 1; it offers 3 {MIG} instead: name one as gpuResource"
    )
    many = plan(*nodes, actor={"replicas": 4, "resources": {"gpu": 1, "gpuResource": MIG}})
    assert {pool.name: pool.full for pool in many.pools}["dgx"] == 2, "three slices a machine"


def test_the_model_of_a_gpu_can_be_asked_for_in_any_spelling() -> None:
    labels = "nvidia.com_gpu.product"
    nodes = [
        node("old", offers={GPU: 1}, **{labels: "NVIDIA-GeForce-GTX-1080-Ti"}),
        node("new", offers={GPU: 1}, **{labels: "NVIDIA-GeForce-RTX-4090"}),
        node("c"),
    ]
    for wanted in ("4090", "rtx-4090", "NVIDIA GeForce RTX 4090"):
        planned = plan(*nodes, learner={"resources": {"gpu": 1, "gpuKind": wanted}})
        assert planned.role("learner").selectors[0]["nvidia.com/gpu.product"] == "NVIDIA-GeForce-RTX-4090"
    said = refused(*nodes, learner={"resources": {"gpu": 1, "gpuKind": "h100"}})
    assert "resources.gpuKind: must be NVIDIA-GeForce-" in said and "not h100" in said


def test_machines_that_take_no_pods_now_are_said_with_the_reason() -> None:
    cordoned = {"spec": {"unschedulable": True}}
    planned = plan(node("a", **cordoned), node("b", **cordoned))
    assert "pool 'nodes': 2 of 2 machines take no pods now (2 cordoned)" in planned.warnings


def test_a_second_pool_that_holds_the_role_is_a_fallback_where_the_first_is_out_of_stock() -> None:
    nodes = [
        node("l", offers={GPU: 1}, **{"cloud.google.com_gke-nodepool": name, "cloud.google.com_gke-accelerator": kind})
        for name, kind in (("l4", "nvidia-l4"), ("t4", "nvidia-tesla-t4"))
    ]
    learner = plan(*nodes, node("c"), learner={"resources": {"gpu": 1}}).role("learner")
    assert {learner.pool, *learner.fallback} == {"l4", "t4"}
    assert len(learner.selectors) == 2


def test_machines_of_no_cloud_are_not_said_to_grow() -> None:
    planned = plan(node("a", 2, "8Gi"), actor={"replicas": 9, "resources": {"cpu": 1}})
    assert any("its machines are of no cloud that could add some" in text for text in planned.warnings)
