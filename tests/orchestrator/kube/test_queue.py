"""With a queue one JobSet stands for all Jobs: what its controller and its webhook want, and Kueue's label."""

import json
import re
from typing import Any

from surreal.orchestrator.backends.kube.manifests.pod import pod_failure_rules
from tests.orchestrator.documents import minimal
from tests.orchestrator.kube.rendered import jobs, objects, of_kind, planned, queued

LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
FIELDS: dict[str, Any] = {
    "suspend": bool,
    "ttlSecondsAfterFinished": int,
    "network": {"enableDNSHostnames": bool, "publishNotReadyAddresses": bool},
    "successPolicy": {"operator": str, "targetReplicatedJobs": list},
    "failurePolicy": {"maxRestarts": int},
    "replicatedJobs": list,
}
"""The fields of jobset.x-k8s.io/v1alpha2 that are used, and their types (JobSetSpec of JobSet 0.10)."""


def jobset() -> Any:
    return of_kind("JobSet", objects(queued()))["cart"]


def test_only_fields_of_the_api_are_used() -> None:
    found = jobset()
    assert found["apiVersion"] == "jobset.x-k8s.io/v1alpha2"
    assert set(found) == {"apiVersion", "kind", "metadata", "spec"}
    _check(found["spec"], FIELDS)
    for each in found["spec"]["replicatedJobs"]:
        assert set(each) == {"name", "replicas", "template"} and set(each["template"]) == {"metadata", "spec"}


def _check(data: Any, fields: Any) -> None:
    assert set(data) == set(fields)
    for key, wanted in fields.items():
        if isinstance(wanted, dict):
            _check(data[key], wanted)
        else:
            assert type(data[key]) is wanted


def test_kueue_starts_it() -> None:
    found = jobset()
    assert found["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-rl"
    assert found["spec"]["suspend"] is True
    assert of_kind("Job", objects(queued())) == {}


def test_the_role_that_ends_the_run_ends_it_and_is_first() -> None:
    spec = jobset()["spec"]
    assert spec["successPolicy"] == {"operator": "All", "targetReplicatedJobs": ["learner"]}
    assert [each["name"] for each in spec["replicatedJobs"]] == ["learner", "actor", "evaluator"]
    assert {each["replicas"] for each in spec["replicatedJobs"]} == {1}


def test_its_webhook_finds_nothing_to_put_in_its_own_way() -> None:
    """It would make restartPolicy OnFailure, which podFailurePolicy refuses; and it checks the names that it makes."""
    spec = jobset()["spec"]
    for each in spec["replicatedJobs"]:
        job, pod = each["template"]["spec"], each["template"]["spec"]["template"]["spec"]
        assert pod["restartPolicy"] == "Never" and job["completionMode"] == "Indexed"
        longest = f"cart-{each['name']}-0-{job['completions'] - 1}-abcde"
        assert LABEL.fullmatch(longest) and len(longest) <= 63
        # nor does it set the hosts' domain: the Service is ours
        assert pod["subdomain"] == "cart"
    assert spec["network"]["enableDNSHostnames"] is False


def test_its_hosts_are_those_of_the_wiring() -> None:
    (wiring,) = [each for name, each in of_kind("ConfigMap", objects(queued())).items() if "-wiring-" in name]
    assert json.loads(wiring["data"]["actor.json"])["control"] == "tcp://cart-learner-0-0.cart:5600"


def test_a_role_that_the_run_can_do_without_never_fails_it() -> None:
    """A Job that fails would fail the set, whatever Job it is."""
    plan = queued()
    hopeless = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2, 3, 6]}}
    assert hopeless not in pod_failure_rules(plan, plan.role("evaluator"))
    assert hopeless in pod_failure_rules(plan, plan.role("actor"))
    assert hopeless in pod_failure_rules(plan, plan.role("learner"))
    assert jobset()["spec"]["failurePolicy"] == {"maxRestarts": 0}


def test_only_the_job_that_ends_the_run_goes_by_itself_and_takes_the_rest_along() -> None:
    found = jobs(objects(planned(minimal(ttlSecondsAfterFinished=600))))
    assert {role: job.get("ttlSecondsAfterFinished") for role, job in found.items()} == {
        "learner": 600,
        "actor": None,
        "evaluator": None,
    }
