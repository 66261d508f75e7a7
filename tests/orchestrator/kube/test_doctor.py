"""What the doctor says of clusters: pure judgements of what an API answers, and whole looks at an API server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.backends.kube.doctor import cluster as equipment
from surreal.orchestrator.backends.kube.doctor.checks import kube_checks, limits, quotas, server
from surreal.orchestrator.backends.kube.doctor.cluster import enforcement
from surreal.orchestrator.backends.kube.lifecycle import rbac as rights
from surreal.orchestrator.doctor import Check
from surreal.orchestrator.experiment.pod_model import default_image
from tests.orchestrator.kube.apiserver import NAMESPACE, Server, api_server

GROUPS = {"groups": [{"name": "batch", "versions": [{"groupVersion": "batch/v1", "version": "v1"}]}]}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Server]:
    """One without anything in it but the namespace."""
    with api_server(tmp_path) as made:
        made.paths["/apis"] = GROUPS
        yield made


def looked_at(cluster: Server) -> dict[str, Check]:
    return {each.check: each for each in kube_checks(cluster.api())}


def node(
    labels: dict[str, str] | None = None, ready: bool = True, images: tuple[str, ...] = (), gpus: str = "0"
) -> Any:
    return {
        "metadata": {"name": "n", "labels": labels or {}},
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110", "nvidia.com/gpu": gpus},
            "images": [{"names": [name]} for name in images],
        },
    }


def daemon_set(name: str, *arguments: str) -> Any:
    container = {"name": "aws-eks-nodeagent", "args": list(arguments)}
    return {"metadata": {"name": name}, "spec": {"template": {"spec": {"containers": [container]}}}}


@pytest.mark.parametrize(
    ("minor", "state"),
    [("36", "ok"), ("33+", "ok"), ("32", "warn"), ("29", "warn"), ("28", "missing"), ("", "missing")],
)
def test_a_server_is_judged_by_its_version(minor: str, state: str) -> None:
    assert server({"gitVersion": f"v1.{minor}.2", "major": "1", "minor": minor}, "lab").state == state


def test_an_empty_cluster_fails_for_want_of_a_node_only(cluster: Server) -> None:
    found = looked_at(cluster)
    assert [name for name, each in found.items() if each.state == "missing"] == ["nodes"]
    assert found["storage"].state == "warn" and "die with the learner's pod" in found["storage"].follows
    assert found["Kueue"].state == "absent" and "spec.queue" in found["Kueue"].follows
    assert not cluster.writes()


def test_a_server_that_is_not_there_is_the_only_thing_said(tmp_path: Path) -> None:
    with api_server(tmp_path) as gone:
        api = gone.api()
    (only,) = kube_checks(api)
    assert (only.check, only.state) == ("API server", "missing")
    assert "no API server answers" in only.found


def test_who_may_see_one_namespace_only_is_told_what_cannot_be_known(cluster: Server) -> None:
    kinds = ("pods", "jobs", "configmaps", "resourcequotas", "limitranges")
    cluster.store.rules.allowed = {(verb, kind) for verb in ("get", "list", "watch") for kind in kinds}
    found = looked_at(cluster)
    for name in ("namespace", "nodes", "GPUs", "image", "storage", "NetworkPolicies"):
        assert found[name].state == "unknown" and "you may not look" in found[name].found, found[name]
    assert found["ResourceQuota"].state == "ok"


def test_missing_rights_are_named_all_at_once(cluster: Server) -> None:
    assert looked_at(cluster)["your rights"].state == "ok"
    every = {
        (right.verb, right.resource) for right in rights.rights({**rights.NEEDED, **rights.QUEUED, **rights.HANDY})
    }
    every |= {("get", "pods"), ("list", "pods"), ("watch", "pods")}
    cluster.store.rules.allowed = every - {("get", "pods/log"), ("get", "pods/exec")}
    found = looked_at(cluster)["your rights"]
    assert found.state == "warn" and found.found == "missing: get pods/log; get pods/exec"
    cluster.store.rules.allowed = every - {("create", "jobs"), ("patch", "jobs"), ("create", "secrets")}
    found = looked_at(cluster)["your rights"]
    assert found.state == "missing" and found.found == "missing: create secrets; create, patch jobs"
    assert "cluster install" in found.follows


def test_a_namespace_that_does_not_exist_comes_with_the_command_that_makes_it(cluster: Server) -> None:
    found = {each.check: each for each in kube_checks(cluster.api(namespace="rl"))}
    assert found["namespace"].state == "missing"
    assert "kubectl create ns rl" in found["namespace"].follows
    assert "ResourceQuota" not in found


def test_a_namespace_that_enforces_restricted_is_left_alone(cluster: Server) -> None:
    assert "kubectl label ns" in looked_at(cluster)["namespace"].follows
    level = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    cluster.api().patch("Namespace", NAMESPACE, level)
    found = looked_at(cluster)["namespace"]
    assert "Pod Security restricted enforced" in found.found and not found.follows


def test_queues_are_named_where_kueue_is(cluster: Server) -> None:
    cluster.unknown.remove("LocalQueue")
    kueue = {"name": "kueue.x-k8s.io", "versions": [{"version": "v1beta2"}, {"version": "v1beta1"}]}
    cluster.paths["/apis"] = {"groups": [kueue]}
    found = looked_at(cluster)
    assert found["Kueue"] == Check("Kueue", "ok", "kueue.x-k8s.io v1beta2, v1beta1")
    assert found["queues"].state == "warn" and "kueue.localQueue" in found["queues"].follows
    cluster.api().post("LocalQueue", {"metadata": {"name": "research"}})
    assert looked_at(cluster)["queues"].follows == "spec.queue: research"


@pytest.mark.parametrize(
    ("names", "state"),
    [
        ([], "unknown"),
        (["kube-proxy"], "unknown"),
        (["calico-node"], "ok"),
        (["cilium", "kube-proxy"], "ok"),
        (["anetd"], "ok"),
        (["kube-flannel-ds"], "warn"),
        (["kindnet"], "unknown"),
        (["kindnet", "calico-node"], "ok"),
    ],
)
def test_enforcement_is_told_by_the_network_plugin(names: list[str], state: str) -> None:
    assert enforcement([daemon_set(name) for name in names]).state == state


def test_the_vpc_cni_enforces_only_when_its_agent_is_switched_on() -> None:
    assert enforcement([daemon_set("aws-node", "--enable-network-policy=true")]).state == "ok"
    assert enforcement([daemon_set("aws-node", "--enable-network-policy=false")]).state == "warn"


def test_nodes_that_can_take_pods_are_counted() -> None:
    found = equipment.nodes([node(), node(ready=False)])
    assert (found.state, found.found) == ("ok", "1 of 2 ready, 4 CPU, 16.0Gi")
    assert equipment.nodes([node(ready=False)]).state == "missing"


def test_a_gpu_that_nobody_offers_to_pods_is_not_counted_as_one() -> None:
    marked = {"nvidia.com/gpu.present": "true"}
    assert equipment.gpus([node()]).state == "absent"
    assert equipment.gpus([node(marked, gpus="2"), node()]).found == "2 of nvidia.com/gpu"
    assert "device plugin" in equipment.gpus([node(marked)]).follows


def test_the_default_storage_class_is_the_one_that_says_so() -> None:
    plain = {"metadata": {"name": "slow"}}
    default = {"metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
    assert equipment.storage([plain, default], 3).found == "fast is the default StorageClass"
    assert "there is slow" in equipment.storage([plain], 3).found


def test_volumes_that_only_the_first_node_can_write_are_told_where_there_are_more() -> None:
    marks = {"storageclass.kubernetes.io/is-default-class": "true"}
    standard = {"metadata": {"name": "standard", "annotations": marks}, "provisioner": "k8s.io/minikube-hostpath"}
    assert equipment.storage([standard], 1).state == "ok"
    assert "first node only" in equipment.storage([standard], 2).found


def test_an_image_is_found_under_the_registry_that_docker_puts_before_it() -> None:
    assert equipment.image([node(images=(f"docker.io/library/{default_image()}",))]).state == "ok"
    buildahs = equipment.image([node(images=(f"localhost/{default_image()}",))])
    assert buildahs.state == "warn" and f"spec.image: localhost/{default_image()}" in buildahs.follows
    elsewhere = equipment.image([node(), node(images=(default_image(),))])
    assert elsewhere.state == "warn" and "1 of 2 nodes" in elsewhere.found and "--push" in elsewhere.follows
    assert equipment.image([node({"minikube.k8s.io/name": "surreal"})]).follows.startswith("surreal image build makes")


def test_a_full_quota_is_warned_of() -> None:
    quota = {"status": {"hard": {"pods": "10", "requests.cpu": "4"}, "used": {"pods": "3", "requests.cpu": "4000m"}}}
    found = quotas([quota])
    assert found.state == "warn" and "pods 3 of 10" in found.found and "requests.cpu" in found.follows
    assert quotas([]).state == "ok"


def test_the_largest_container_is_told() -> None:
    bounds = {"spec": {"limits": [{"type": "Container", "max": {"memory": "8Gi"}}]}}
    assert limits([bounds]).found == "memory at most 8Gi"
    assert limits([]).found == "none that bounds a container"
