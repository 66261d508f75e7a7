"""The objects of `--engine ray`: a RayJob that KubeRay takes and runs, whose pods are as closed as those of Jobs."""

import importlib.util
import os
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from surreal.orchestrator.backends.kube.kuberay import names
from surreal.orchestrator.backends.kube.kuberay.render import DRIVER, Moment, draw, render
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.code_archive import Code
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.documents import minimal
from tests.orchestrator.kube.pod_security import restricted
from tests.orchestrator.kube.rendered import CODE, NAMESPACE, RUN, everything, example, of_kind, planned, queued

GOLDEN = Path(__file__).parent / "golden" / "kuberay.yaml"
SPEC = {
    "activeDeadlineSeconds": int,
    "backoffLimit": int,
    "entrypoint": str,
    "rayClusterSpec": dict,
    "shutdownAfterJobFinishes": bool,
    "submissionMode": str,
    "suspend": bool,
    "ttlSecondsAfterFinished": int,
}
CLUSTER = {
    "authOptions": dict,
    "enableInTreeAutoscaling": bool,
    "headGroupSpec": dict,
    "rayVersion": str,
    "workerGroupSpecs": list,
}
HEAD = {"enableIngress": bool, "rayStartParams": dict, "serviceType": str, "template": dict}
WORKERS = {
    "groupName": str,
    "maxReplicas": int,
    "minReplicas": int,
    "rayStartParams": dict,
    "replicas": int,
    "template": dict,
}
"""Fields of KubeRay's CRD that are used, with their types; the CRD wants those of WORKERS but two, and a template.
Any other field would be dropped by a server without a word. `test_kuberay_e2e.py` asks a real server."""


def objects(plan: Plan, **options: Any) -> list[Object]:
    """The objects of a plan."""
    return render(plan, RUN, NAMESPACE, CODE if plan.code else None, "kind: Experiment\n", **options)


def job(plan: Plan, **options: Any) -> Object:
    """The RayJob of a plan."""
    return objects(plan, **options)[0]


def cluster(plan: Plan) -> dict[str, Any]:
    """The Ray cluster of a plan."""
    found: dict[str, Any] = job(plan)["spec"]["rayClusterSpec"]
    return found


def templates(plan: Plan) -> dict[str, dict[str, Any]]:
    """Group -> its pod template, the head first."""
    found = cluster(plan)
    groups = {each["groupName"]: each["template"] for each in found["workerGroupSpecs"]}
    return {names.HEAD: found["headGroupSpec"]["template"], **groups}


def test_the_objects_are_the_ones_on_file() -> None:
    """After a wanted change: run this file with SURREAL_WRITE_GOLDEN=1, and read the diff."""
    found = draw(example(), RUN, NAMESPACE, None, "kind: Experiment\n", user="ada")
    text = "---\n".join(each.text for each in found)
    if os.environ.get("SURREAL_WRITE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()
    assert list(yaml.safe_load_all(text)) == [each.data for each in found]


@pytest.mark.parametrize("plan", [example, everything, queued])
def test_the_ray_job_has_fields_of_the_crd_alone(plan: Any) -> None:
    def fits(data: dict[str, Any], known: dict[str, type]) -> None:
        assert {key: type(value) for key, value in data.items()}.items() <= known.items()

    made = job(plan())
    assert (made["apiVersion"], made["kind"]) == ("ray.io/v1", "RayJob")
    fits(made["spec"], SPEC)
    found = made["spec"]["rayClusterSpec"]
    fits(found, CLUSTER)
    fits(found["headGroupSpec"], HEAD)
    for each in found["workerGroupSpecs"]:
        assert set(each) == set(WORKERS)
        fits(each, WORKERS)
    for group in (found["headGroupSpec"], *found["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


@pytest.mark.parametrize(
    "version", ["1.33", kubernetes_validate.utils.major_minor(kubernetes_validate.latest_version())]
)
@pytest.mark.parametrize("plan", [example, everything, queued])
def test_pods_and_all_other_objects_are_of_the_api(plan: Any, version: str) -> None:
    pods = [{"apiVersion": "v1", "kind": "Pod", **template} for template in templates(plan()).values()]
    for each in [*pods, *objects(plan())[1:]]:
        kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("plan", [example, everything, queued])
def test_pods_are_restricted_and_cannot_write_but_to_volumes(plan: Any) -> None:
    for template in templates(plan()).values():
        spec = template["spec"]
        assert restricted(spec) == []
        assert not spec["automountServiceAccountToken"] and not spec["enableServiceLinks"]
        assert all(each["securityContext"]["readOnlyRootFilesystem"] for each in spec["containers"])
        # KubeRay's own Services find the head by its value of this label
        assert "app.kubernetes.io/name" not in template["metadata"]["labels"]


def test_each_role_is_a_worker_group_that_one_process_fills() -> None:
    plan = everything()
    groups = {each["groupName"]: each for each in cluster(plan)["workerGroupSpecs"]}
    assert list(groups) == [role.name for role in plan.roles]
    actor, learner = groups["actor"], groups["learner"]
    assert (actor["replicas"], actor["minReplicas"], actor["maxReplicas"]) == (64, 64, 64)
    asked = plan.role("learner").resources
    assert learner["rayStartParams"]["memory"] == str(asked.memory) and learner["rayStartParams"]["num-gpus"] == "1"
    sizes = learner["template"]["spec"]["containers"][0]["resources"]
    assert sizes["limits"]["nvidia.com/gpu"] == "1" and sizes["requests"]["memory"] == "17Gi"
    assert cluster(plan)["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_a_token_is_demanded_and_only_the_operator_reaches_the_dashboard() -> None:
    found = cluster(example())
    assert found["authOptions"] == {"mode": "token"}
    assert found["headGroupSpec"]["serviceType"] == "ClusterIP" and not found["headGroupSpec"]["enableIngress"]
    (policy,) = of_kind("NetworkPolicy", objects(example())).values()
    among, operator = policy["spec"]["ingress"]
    assert among == {"from": [{"podSelector": {"matchLabels": names.selector("cheetah-ppo")}}]}
    assert operator["ports"] == [{"protocol": "TCP", "port": 8265}]
    assert operator["from"][0]["podSelector"]["matchLabels"] == {"app.kubernetes.io/component": "kuberay-operator"}
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_the_entrypoint_is_there_and_names_the_run() -> None:
    assert importlib.util.find_spec(DRIVER)
    assert job(example())["spec"]["entrypoint"] == f"python3 -P -m {DRIVER} cheetah-ppo {names.DOCUMENTS}"
    head = templates(example())[names.HEAD]["spec"]
    assert names.DOCUMENTS in [each["mountPath"] for each in head["containers"][0]["volumeMounts"]]


def test_it_can_be_suspended_and_goes_after_its_time() -> None:
    spec = job(example(), moment=Moment(suspended=True))["spec"]
    assert spec["suspend"] and spec["shutdownAfterJobFinishes"] and spec["ttlSecondsAfterFinished"] == 86_400


def test_only_a_claim_lets_another_cluster_go_on() -> None:
    assert job(example())["spec"]["backoffLimit"] == 2
    assert job(everything())["spec"]["backoffLimit"] == job(queued())["spec"]["backoffLimit"] == 0


def test_the_queue_takes_it_once_all_is_there() -> None:
    plan = queued()
    assert job(plan)["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-rl"
    before = job(plan, moment=Moment(suspended=True, queued=False))
    assert "kueue.x-k8s.io/queue-name" not in before["metadata"]["labels"] and before["spec"]["suspend"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [("a" * 48, "has 48 characters, and a RayJob has 47 at most"), ("1st", "begins with a digit or has a dot")],
)
def test_names_that_the_operator_would_refuse_are_refused_before(name: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        job(planned(minimal()).model_copy(update={"name": name}))


def test_a_role_that_is_no_group_name_is_refused() -> None:
    plan = example()
    other = plan.roles[0].model_copy(update={"name": names.HEAD})
    with pytest.raises(InvalidInput, match="spec.roles: 'ray-head' cannot be the name of a worker group"):
        job(plan.model_copy(update={"roles": (other, *plan.roles[1:])}))


def test_code_that_fits_no_object_is_refused() -> None:
    large = Code("c0de" * 16, b"x" * 2_000_000, files=1, bytes=2_000_000, left_out=0)
    with pytest.raises(InvalidInput, match="spec.code: 2,000,000 bytes packed do not fit a ConfigMap"):
        render(everything(), RUN, NAMESPACE, large, "kind: Experiment\n")
