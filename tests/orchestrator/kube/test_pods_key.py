"""What `spec.pods` and `metadata.labels` say reaches the objects, and pods keep out of service meshes by default."""

from dataclasses import replace
from typing import Any

import pytest

from surreal.orchestrator.backends.kube.run_folder.reader_pod import reader_pod
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.protocol.errors import InvalidInput
from tests.orchestrator.documents import minimal
from tests.orchestrator.kube import recordings
from tests.orchestrator.kube.rendered import jobs, objects, planned


def made(labels: dict[str, str] | None = None, queue: str | None = None, **pods: Any) -> list[Any]:
    spec = {"storage": {"kind": "emptyDir"}, "pods": pods, **({"queue": queue} if queue else {})}
    data = minimal(**spec)
    data["metadata"]["labels"] = labels or {}
    return objects(planned(data))


def test_labels_of_the_experiment_are_on_every_object_and_on_every_pod() -> None:
    found = made({"team": "vision"})
    assert {each["metadata"]["labels"].get("team") for each in found} == {"vision"}
    assert {job["template"]["metadata"]["labels"]["team"] for job in jobs(found).values()} == {"vision"}


def test_pods_have_the_labels_annotations_runtime_and_scheduler_that_are_asked_for() -> None:
    found = objects(
        planned(
            minimal(
                storage={"kind": "emptyDir"},
                pods={
                    "labels": {"example.com/cost": "rl"},
                    "annotations": {"example.com/note": "any text: {}"},
                    "runtimeClassName": "gvisor",
                    "schedulerName": "volcano",
                },
            )
        )
    )
    for job in jobs(found).values():
        about, spec = job["template"]["metadata"], job["template"]["spec"]
        assert about["labels"]["example.com/cost"] == "rl"
        assert about["annotations"]["example.com/note"] == "any text: {}"
        assert (spec["runtimeClassName"], spec["schedulerName"]) == ("gvisor", "volcano")


def test_pods_opt_out_of_sidecars_unless_the_file_says_otherwise() -> None:
    for job in jobs(made()).values():
        about = job["template"]["metadata"]
        assert about["labels"]["sidecar.istio.io/inject"] == "false"
        assert about["annotations"]["linkerd.io/inject"] == "disabled"
    wanted = objects(
        planned(minimal(storage={"kind": "emptyDir"}, pods={"labels": {"sidecar.istio.io/inject": "true"}}))
    )
    for job in jobs(wanted).values():
        assert job["template"]["metadata"]["labels"]["sidecar.istio.io/inject"] == "true"
    reader = reader_pod(replace(recordings.snapshot("running"), root=None, claim=None))["metadata"]
    assert reader["labels"]["sidecar.istio.io/inject"] == "false"


def test_a_namespace_may_give_the_user_as_openshift_does() -> None:
    for job in jobs(made(securityContext="namespace")).values():
        context = job["template"]["spec"]["securityContext"]
        assert context["runAsNonRoot"] and not {"runAsUser", "runAsGroup", "fsGroup"} & context.keys()
    for job in jobs(made()).values():
        assert job["template"]["spec"]["securityContext"]["runAsUser"] == 10001


def test_a_queue_gets_the_priority_class_of_kueue() -> None:
    found = made(queue="team-rl", kueuePriorityClass="urgent")
    jobset = next(each for each in found if each["kind"] == "JobSet")
    assert jobset["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "urgent"


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        ({"labels": {"surreal.dev/run": "x"}}, "surreal.dev/run is set by the system"),
        ({"labels": {"team": "a b"}}, "cannot be the value of label team"),
        ({"labels": {"a b": "c"}}, "'a b' cannot be a key"),
        ({"annotations": {"batch.kubernetes.io/x": "c"}}, "is set by the system"),
        ({"securityContext": "root"}, "securityContext"),
    ],
)
def test_what_cannot_be_is_refused_at_its_line(pods: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Experiment.from_data(minimal(pods=pods))
