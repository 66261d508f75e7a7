"""The chart: what it makes, and that it makes nothing more."""

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from surreal.orchestrator.backends.kube.lifecycle import rbac as rights
from surreal.orchestrator.backends.kube.lifecycle.rbac import Right
from tests.charts import helm
from tests.orchestrator.kube import rendered

CLUSTER_SCOPED = {"Namespace", "ClusterQueue", "ResourceFlavor"} | {
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
}
OF_OTHERS = {"ClusterQueue", "ResourceFlavor", "LocalQueue", "PodMonitor"}
"""Kinds whose schemas their projects publish, not Kubernetes."""


def of_kind(kind: str, **values: Any) -> list[dict[str, Any]]:
    return [each for each in helm.render(**values) if each["kind"] == kind]


def containers(found: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every container with its pod."""
    for each in found:
        if each["kind"] == "Deployment":
            pod = each["spec"]["template"]["spec"]
            yield from ((pod, container) for container in pod["containers"])


def test_unasked_it_makes_a_role_that_nobody_has_and_a_dashboard() -> None:
    assert {each["kind"] for each in helm.render()} == {"Role", "ConfigMap"}


def test_what_is_cluster_scoped_is_made_only_when_asked_for() -> None:
    everything = helm.render(**helm.EVERYTHING)
    assert {each["kind"] for each in everything if "namespace" not in each["metadata"]} == CLUSTER_SCOPED
    named = {"namespace": {}, "kueue": {"localQueue": "research"}, "operator": {"enabled": True}}
    unasked = {**helm.EVERYTHING, **named}
    assert all(each["metadata"]["namespace"] == helm.NAMESPACE for each in helm.render(**unasked))


def test_a_namespace_of_its_own_takes_everything() -> None:
    everything = helm.render(**helm.EVERYTHING)
    assert {each["metadata"].get("namespace", "experiments") for each in everything} == {"experiments"}
    (namespace,) = of_kind("Namespace", **helm.EVERYTHING)
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("name", ["", helm.NAMESPACE])
def test_the_release_s_own_namespace_is_not_made_again(name: str) -> None:
    with pytest.raises(helm.Refused, match=r"another name than the release's namespace"):
        helm.render(namespace={"create": True, "name": name})


@pytest.mark.parametrize("version", ["1.33", "1.37"])
def test_every_object_is_valid_kubernetes(version: str) -> None:
    for each in helm.render(**helm.EVERYTHING):
        if each["kind"] not in OF_OTHERS:
            kubernetes_validate.validate(each, version, strict=True)


def test_every_pod_is_restricted() -> None:
    found = list(containers(helm.render(**helm.EVERYTHING)))
    assert found
    for pod, container in found:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] >= 10000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert all(
            volume.keys() <= {"name", "emptyDir", "persistentVolumeClaim", "projected"} for volume in pod["volumes"]
        )


def of_tensorboard(kind: str) -> dict[str, Any]:
    (found,) = [each for each in of_kind(kind, **helm.EVERYTHING) if "tensorboard" in each["metadata"]["name"]]
    return found


def test_tensorboard_only_reads_the_claims_and_lets_in_whom_the_values_name() -> None:
    deployment = of_tensorboard("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    claims = [each["persistentVolumeClaim"] for each in pod["volumes"] if "persistentVolumeClaim" in each]
    assert claims == [{"claimName": name, "readOnly": True} for name in ("cheetah-ppo", "hopper")]
    policy = of_tensorboard("NetworkPolicy")
    assert (
        policy["spec"]["podSelector"]["matchLabels"].items()
        <= deployment["spec"]["template"]["metadata"]["labels"].items()
    )
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert [rule["from"] for rule in policy["spec"]["ingress"]] == [helm.EVERYTHING["tensorboard"]["allowFrom"]]
    (closed,) = of_kind("NetworkPolicy", tensorboard={"claims": ["hopper"]})
    assert "ingress" not in closed["spec"] and "egress" not in closed["spec"]


def test_the_operator_has_the_rights_of_its_runs_and_reads_no_secret() -> None:
    (role,) = [each for each in of_kind("Role", operator={"enabled": True}) if "operator" in each["metadata"]["name"]]
    given = rights_of(role)
    needed = {right for table in (rights.NEEDED, rights.QUEUED) for right in rights.rights(table)}
    own = {Right(verb, "surreal.dev", kind) for kind in ("experiments", "sweeps") for verb in ("get", "list", "watch")}
    told = {Right(verb, "", "events") for verb in ("create", "patch", "list")}
    assert given >= needed | own | told | {Right("patch", "surreal.dev", "experiments/status")}
    assert not any("*" in right or (right.resource == "secrets" and right.verb in ("get", "list")) for right in given)


def test_the_operator_is_not_installed_unasked_and_its_definitions_stay() -> None:
    assert not of_kind("Deployment") and not of_kind("CustomResourceDefinition")
    made = of_kind("CustomResourceDefinition", operator={"crds": {"create": True}})
    assert [each["spec"]["names"]["kind"] for each in made] == ["Experiment", "Sweep"]
    assert all(each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for each in made)


@pytest.mark.parametrize(
    ("marks", "kinds"),
    [
        ({"meta.helm.sh/release-name": helm.RELEASE, "meta.helm.sh/release-namespace": helm.NAMESPACE}, 2),
        ({"meta.helm.sh/release-name": helm.RELEASE, "meta.helm.sh/release-namespace": "other"}, 0),
        ({}, 0),
    ],
    ids=["its own", "another namespace's", "kubectl's"],
)
def test_definitions_of_another_release_are_left_alone(marks: dict[str, str], kinds: int) -> None:
    there = {"experiments.surreal.dev": {"metadata": {"annotations": marks}}}
    wanted = {"operator": {"enabled": True, "crds": {"create": True}}}
    made = helm.render(there=there, **wanted)
    assert len([each for each in made if each["kind"] == "CustomResourceDefinition"]) == kinds
    assert any(each["kind"] == "Deployment" for each in made)
    assert ("surreal schema crd" in helm.notes(there=there, **wanted)) == (kinds == 0)


def test_prometheus_reads_the_operator_where_it_is_installed() -> None:
    assert len(of_kind("PodMonitor", podMonitor={"enabled": True})) == 1
    monitors = of_kind("PodMonitor", podMonitor={"enabled": True}, operator={"enabled": True})
    (deployment,) = of_kind("Deployment", operator={"enabled": True})
    (of_operator,) = [each for each in monitors if each["metadata"]["name"] == deployment["metadata"]["name"]]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert of_operator["spec"]["selector"]["matchLabels"].items() <= labels.items()
    ports = [port["name"] for port in deployment["spec"]["template"]["spec"]["containers"][0]["ports"]]
    assert of_operator["spec"]["podMetricsEndpoints"][0]["port"] in ports


def rights_of(role: dict[str, Any]) -> set[Right]:
    """Every right of a Role."""
    return {
        Right(verb, group, resource)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_role_has_the_rights_that_create_checks_and_lists_what_explains() -> None:
    (role,) = of_kind("Role")
    given = [
        Right(verb, group, resource)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]
    checked = {
        right
        for table in (rights.NEEDED, rights.QUEUED, rights.HANDY, rights.OPERATED)
        for right in rights.rights(table)
    }
    seen = {("", "events"), ("", "resourcequotas"), ("", "limitranges"), ("metrics.k8s.io", "pods")}
    seen |= {("kueue.x-k8s.io", kind) for kind in ("localqueues", "workloads")}
    assert set(given) == checked | {Right("list", group, resource) for group, resource in seen}
    assert len(given) == len(set(given))
    assert not any(
        "*" in right or (right.resource == "secrets" and right.verb in ("get", "list", "watch")) for right in given
    )


def test_the_role_is_given_to_those_who_are_named() -> None:
    binding, _operator = sorted(of_kind("RoleBinding", **helm.EVERYTHING), key=lambda each: -len(each["subjects"]))
    assert [(who["kind"], who["name"]) for who in binding["subjects"]] == [
        ("User", "jane@example.org"),
        ("Group", "researchers"),
        ("ServiceAccount", "ci"),
    ]


def test_queues_are_of_the_api_that_the_cluster_has() -> None:
    for apis, version in ((), "v1beta1"), (("kueue.x-k8s.io/v1beta2",), "v1beta2"):
        found = helm.render(apis, **helm.EVERYTHING)
        assert {each["apiVersion"] for each in found if "kueue" in each["apiVersion"]} == {f"kueue.x-k8s.io/{version}"}


def test_a_queue_covers_the_resources_of_its_flavors() -> None:
    (queue,) = of_kind("ClusterQueue", **helm.EVERYTHING)
    (group,) = queue["spec"]["resourceGroups"]
    for flavor in group["flavors"]:
        assert sorted(resource["name"] for resource in flavor["resources"]) == group["coveredResources"]


def test_a_queue_covers_all_that_the_pods_of_a_run_ask_for() -> None:
    asked = {
        resource
        for pod in rendered.pods(rendered.objects(rendered.queued())).values()
        for container in pod["containers"]
        for resource in container["resources"]["requests"]
    }
    (queue,) = of_kind("ClusterQueue", **helm.EVERYTHING)
    assert asked == set(queue["spec"]["resourceGroups"][0]["coveredResources"])


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"quotas": {}}, "quotas"),
        ({"quota": {"pods": "many"}}, "quota.pods"),
        ({"tensorboard": {"claims": ["Not A Name"]}}, "tensorboard.claims.0"),
        ({"tensorboard": {"image": {"digest": "latest"}}}, "tensorboard.image.digest"),
        ({"kueue": {"clusterQueue": {"create": True}}}, "kueue.clusterQueue.flavors"),
        ({"namespace": {"podSecurity": "strict"}}, "namespace.podSecurity"),
        ({"rbac": {"users": [""]}}, "rbac.users.0"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(helm.Refused, match=named):
        helm.render(**changed)


def test_a_strange_name_stays_in_its_place() -> None:
    strange = 'x"\n- kind: Group\n  name: {{ .Release.Name }} # '
    (binding,) = of_kind("RoleBinding", rbac={"users": [strange]})
    assert [who["name"] for who in binding["subjects"]] == [strange]


def test_the_notes_say_what_was_made() -> None:
    said = helm.notes(**helm.EVERYTHING)
    assert "spec.queue: research" in said and "port-forward service/surreal-tensorboard" in said
    assert "TensorBoard" not in helm.notes()


@pytest.mark.skipif(not helm.HELM, reason="helm is not on PATH")
@pytest.mark.parametrize("values", [{}, helm.EVERYTHING], ids=["nothing asked", "everything asked"])
def test_helm_itself_renders_the_same(values: dict[str, Any], tmp_path: Path) -> None:
    def ordered(found: list[dict[str, Any]]) -> list[str]:
        return sorted(json.dumps(each, sort_keys=True) for each in found)

    assert ordered(helm.by_helm(tmp_path, **values)) == ordered(helm.render(**values))
    subprocess.run([str(helm.HELM), "lint", "--strict", helm.CHART], check=True, capture_output=True, timeout=200)


@pytest.mark.skipif(not helm.HELM, reason="helm is not on PATH")
def test_helm_itself_refuses_a_wrong_value(tmp_path: Path) -> None:
    with pytest.raises(helm.Refused, match="quotas"):
        helm.by_helm(tmp_path, quotas={})


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("checkov"), reason="checkov is not on PATH")
def test_checkov_finds_nothing(tmp_path: Path) -> None:
    for number, each in enumerate(helm.render(**helm.EVERYTHING)):
        (tmp_path / f"{number}.json").write_text(json.dumps(each))
    command = ["checkov", "--directory", str(tmp_path), "--framework", "kubernetes", "--compact", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout


def test_the_wheel_carries_the_chart(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    build = [sys.executable, "-P", "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=root, capture_output=True, check=True, timeout=200)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    ask = "from surreal.provisioner.helm import chart_folder; print(chart_folder())"
    command = [sys.executable, "-P", "-S", "-c", f"import sys; sys.path[:0] = {[str(tmp_path / 'site')]}; {ask}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=True)
    installed, here = Path(done.stdout.strip()), helm.CHART
    assert installed.is_relative_to(tmp_path)
    names = sorted(path.relative_to(here) for path in here.rglob("*") if path.is_file())
    assert sorted(path.relative_to(installed) for path in installed.rglob("*") if path.is_file()) == names
