"""What is asked before anything is made: the namespace, all rights at once, quotas. Rows K12-K14."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.backends.kube.lifecycle import preflight, quotas
from surreal.orchestrator.backends.kube.lifecycle.rbac import HANDY, NEEDED, QUEUED, rights
from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.kube.apiserver import NAMESPACE, Server, api_server
from tests.orchestrator.kube.apistore import Failure
from tests.orchestrator.kube.drawn import drawer

EVERYTHING = {(each.verb, each.resource) for each in rights(NEEDED) + rights(HANDY)}


def check(server: Server, **options: object) -> list[str]:
    return preflight.check(server.api(), drawer(**options)("0" * 8, 1))  # type: ignore[arg-type]


def test_an_administrator_is_asked_nothing_more(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        assert check(server) == []
        assert len(server.requests) == 6  # namespace, rules, quotas, and a pod of each role on trial
        assert server.store.names() == []


def test_all_missing_rights_are_named_at_once_and_nothing_is_made(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.store.rules.allowed = EVERYTHING - {
            ("create", "jobs"),
            ("patch", "jobs"),
            ("create", "secrets"),
            ("create", "pods/exec"),
        }
        wanted = (
            "lab: missing rights: create secrets; create, patch jobs; nothing was made. Ask for .*ClusterRole `edit`"
        )
        with pytest.raises(SurrealError, match=wanted):
            check(server)
        assert server.store.names() == []


def test_rights_that_are_only_handy_are_a_warning(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.store.rules.allowed = EVERYTHING - {("create", "pods/exec"), ("get", "pods/exec")}
        assert check(server) == ["without the rights get, create pods/exec surreal cannot show all of the run"]


def test_a_right_that_the_list_of_rules_does_not_show_is_asked_for_itself(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.store.rules.allowed = EVERYTHING
        server.store.rules.shown = {("get", "pods")}
        assert check(server) == []
        asked = [path for _, path in server.requests if path.endswith("selfsubjectaccessreviews")]
        assert len(asked) == len(rights(NEEDED) + rights(HANDY)) - 1


def test_an_experiment_with_a_queue_needs_the_right_to_jobsets(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.store.rules.allowed = EVERYTHING
        with pytest.raises(SurrealError, match="get, list, create, patch, delete jobsets"):
            check(server, queued=True)
        server.store.rules.allowed = EVERYTHING | {(each.verb, each.resource) for each in rights(QUEUED)}
        assert check(server, queued=True) == []


def test_a_namespace_that_is_not_there_or_is_going_away_is_said_first(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        with pytest.raises(InvalidInput, match="namespace rl does not exist in context double: kubectl create ns rl"):
            preflight.check(server.api("rl"), drawer()("0" * 8, 1))
        server.api().patch("Namespace", NAMESPACE, {"status": {"phase": "Terminating"}})
        with pytest.raises(InvalidInput, match="namespace lab is being removed"):
            check(server)


def quota(hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any) -> Object:
    return {"metadata": {"name": "q"}, "spec": {"hard": hard, **spec}, "status": {"hard": hard, "used": used or {}}}


def run(gpus: int, cpu: str = "500m") -> list[Object]:
    """A learner with so many GPUs and four actors with as many."""
    objects = list(drawer(actors=4)("0" * 8, 1))
    for each in objects:
        if each["kind"] == "Job":
            container = each["spec"]["template"]["spec"]["containers"][0]
            limits = {"memory": "1Gi", "nvidia.com/gpu": str(gpus)}
            container["resources"] = {"requests": {"cpu": cpu, "memory": "1Gi"}, "limits": limits}
    return objects


@pytest.mark.parametrize(
    ("hard", "used", "never", "later"),
    [
        ({"requests.nvidia.com/gpu": "6"}, {}, "", ""),
        ({"requests.nvidia.com/gpu": "5"}, {}, "quota q: asked 6 requests.nvidia.com/gpu, 5 of 5 free", ""),
        (
            {"requests.nvidia.com/gpu": "8"},
            {"requests.nvidia.com/gpu": "4"},
            "",
            "asked 6 requests.nvidia.com/gpu, 4 of 8",
        ),
        (
            {"requests.nvidia.com/gpu": "8"},
            {"requests.nvidia.com/gpu": "8"},
            "asked 6 requests.nvidia.com/gpu, 0 of 8",
            "",
        ),
        ({"cpu": "2"}, {}, "quota q: asked 3 cpu, 2 of 2 free", ""),
        ({"requests.memory": "4Gi"}, {}, "quota q: asked 6Gi requests.memory, 4Gi of 4Gi free", ""),
        ({"limits.memory": "6Gi"}, {"limits.memory": "1536Mi"}, "", "asked 6Gi limits.memory, 4.5Gi of 6Gi free"),
        ({"pods": "5"}, {}, "quota q: asked 6 pods, 5 of 5 free", ""),
        ({"count/jobs.batch": "2"}, {}, "quota q: asked 3 count/jobs.batch, 2 of 2 free", ""),
        ({"configmaps": "10"}, {"configmaps": "9"}, "quota q: asked 2 configmaps, 1 of 10 free", ""),
        ({"requests.storage": "500Mi"}, {}, "quota q: asked 1Gi requests.storage, 500Mi of 500Mi free", ""),
        ({"services.loadbalancers": "0"}, {}, "", ""),
    ],
)
def test_a_quota_is_compared_with_all_that_the_run_asks(
    hard: dict[str, str], used: dict[str, str], never: str, later: str
) -> None:
    found = quotas.too_small([quota(hard, used)], run(gpus=1))
    for said, wanted in zip(found, (never, later), strict=True):
        assert wanted in "; ".join(said)
        assert bool(wanted) == bool(said)


def of_class(operator: str, *values: str) -> dict[str, Any]:
    rule = {"scopeName": "PriorityClass", "operator": operator, **({"values": list(values)} if values else {})}
    return {"scopeSelector": {"matchExpressions": [rule]}}


@pytest.mark.parametrize(
    ("scope", "counts"),
    [
        ({"scopes": ["BestEffort"]}, False),
        ({"scopes": ["Terminating"]}, False),
        ({"scopes": ["CrossNamespacePodAffinity"]}, False),
        ({"scopes": ["NotBestEffort"]}, True),
        ({"scopes": ["NotTerminating", "NotBestEffort"]}, True),
        ({"scopes": ["NotTerminating", "BestEffort"]}, False),
        (of_class("In", "low"), True),
        (of_class("In", "high"), False),
        (of_class("NotIn", "high"), True),
        (of_class("Exists"), True),
        (of_class("DoesNotExist"), False),
    ],
)
def test_a_quota_with_scopes_counts_the_pods_in_them(scope: dict[str, Any], counts: bool) -> None:
    objects = run(gpus=0)
    for each in objects:
        if each["kind"] == "Job":
            each["spec"]["template"]["spec"]["priorityClassName"] = "low"
    never, later = quotas.too_small([quota({"pods": "2", "configmaps": "0"}, **scope)], objects)
    assert (never, later) == ((["quota q: asked 6 pods, 2 of 2 free"] if counts else []), [])


def test_admission_that_refuses_a_pod_is_said_before_anything_is_made(tmp_path: Path) -> None:
    words = 'pods "learner-x" is forbidden: maximum memory usage per Container is 256Mi, but limit is 1Gi'

    def limit(made: Object) -> Failure | None:
        return Failure(403, "Forbidden", words) if made["kind"] == "Pod" else None

    with api_server(tmp_path) as server:
        server.store.admission.append(limit)
        wanted = "learner: a LimitRange of the namespace refuses its pods: maximum memory usage per Container is 256Mi"
        with pytest.raises(SurrealError, match=f"takes no such pods .nothing was made.:\n{wanted}.*change spec.roles"):
            check(server)
        assert server.store.names() == []


def test_admission_that_changes_pods_is_said_and_does_not_hinder(tmp_path: Path) -> None:
    def change(made: Object) -> None:
        if made["kind"] == "Pod" and made["metadata"]["generateName"] == "learner-":
            made["spec"]["containers"][0]["resources"] = {"limits": {"memory": "40Mi"}}
            made["spec"]["containers"].append({"name": "istio-proxy"})

    with api_server(tmp_path) as server:
        server.store.admission.append(change)
        said = check(server)
    assert len(said) == 1 and "the cluster's admission changes the pods of learner: limits.memory of " in said[0]
    assert said[0].endswith("-> 40Mi; container istio-proxy is added")


def _refused(failure: Failure, made: Object) -> Failure | None:
    return failure if made["kind"] == "Pod" else None


def test_a_full_quota_or_a_server_in_trouble_on_trial_is_no_reason_against_a_run(tmp_path: Path) -> None:
    full = Failure(403, "Forbidden", "exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3")
    for failure in (full, Failure(409, "AlreadyExists", "is there"), Failure(422, "Invalid", full.args[0])):
        with api_server(tmp_path) as server:
            server.store.admission.append(partial(_refused, failure))
            assert check(server) == []


def test_a_user_who_may_not_make_pods_is_spared_the_trial(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.store.rules.allowed = EVERYTHING - {("create", "pods")}
        assert check(server) == ["without the rights create pods surreal cannot show all of the run"]
        assert server.writes() == []


def test_a_quota_that_is_too_small_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.api().post("ResourceQuota", quota({"pods": "3"}))
        wanted = "lab: the run does not fit: quota q: asked 4 pods, 3 of 3 free; nothing was made. Lower spec"
        with pytest.raises(SurrealError, match=wanted):
            check(server)
        server.api().patch("ResourceQuota", "q", {"status": {"hard": {"pods": "5"}, "used": {"pods": "2"}}})
        assert check(server) == ["quota q: asked 4 pods, 3 of 5 free: some processes wait until others leave room"]
        server.store.rules.allowed = EVERYTHING
        assert check(server) == []  # who may not list quotas hears of them from the pods that wait
