"""A run in a real cluster whose processes are scripts: objects of the right names and labels around a few lines of
Python, to look at from outside."""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from surreal.orchestrator.backends.kube.names import ATTEMPT, CREATED, PLAN_KEY, ROOT, RUN_FOLDER, WORKER, job, labels
from surreal.orchestrator.backends.kube.status.collect import snapshot
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.experiment.pod_model import default_image
from surreal.orchestrator.plan.model import Plan
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.runs import plan

CONTEXT = os.environ.get("SURREAL_E2E_CONTEXT", "")
IMAGE = os.environ.get("SURREAL_E2E_IMAGE") or default_image()
needs_cluster = pytest.mark.skipif(not CONTEXT, reason="needs a cluster: SURREAL_E2E_CONTEXT names its context")

RUN_ID = "0123abcd"


@contextmanager
def namespace(security: str = "restricted") -> Iterator[Api]:
    """A namespace of its own, which enforces this level of Pod Security, removed at the end."""
    name = f"surreal-test-{uuid.uuid4().hex[:6]}"
    api = Api.connect(None, CONTEXT, name)
    enforce = {"pod-security.kubernetes.io/enforce": security}
    api.post("Namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": enforce}})
    try:
        yield api
    finally:
        # pods first: a namespace that goes before its Jobs are done with their pods hangs
        for each in api.list("Job"):
            api.delete("Job", each["metadata"]["name"], "Foreground")
        api.delete("Namespace", name)


def start(api: Api, scripts: dict[str, str], claim: bool = False, name: str = "toy") -> Plan:
    """Make the objects of a run whose roles run these scripts; roles without one have no Job."""
    planned = plan(name)
    planned = planned.model_copy(update={"roles": tuple(r.model_copy(update={"image": IMAGE}) for r in planned.roles)})
    told = {"name": name, "labels": {**labels(name, RUN_ID), ROOT: "true"}, "annotations": {CREATED: "now"}}
    root = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": told, "data": {PLAN_KEY: planned.to_json()}}
    made = api.post("ConfigMap", root)
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": made["metadata"]["uid"]}
    if claim:
        api.post("PersistentVolumeClaim", _claim(name))
    for role in planned.roles:
        if role.name in scripts:
            api.post("Job", _job(planned, role.name, role.replicas, scripts[role.name], claim and role.ends_run, owner))
    return planned


def when(api: Api, what: str, condition: Callable[[Snapshot], object], name: str = "toy") -> Snapshot:
    """The first snapshot for which the condition holds; the seconds only bound a failure."""
    deadline = time.monotonic() + 120
    while not condition(found := snapshot(api, name)):
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.2)
    return found


def _claim(name: str) -> Object:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}}
    metadata = {"name": name, "labels": labels(name, RUN_ID)}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": asked}


def _job(planned: Plan, role: str, replicas: int, script: str, claim: bool, owner: Object) -> Object:
    ours = labels(planned.name, RUN_ID, role)
    volume = {"persistentVolumeClaim": {"claimName": planned.name}} if claim else {"emptyDir": {}}
    container = {
        "name": WORKER,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-u", "-c", script],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "run", "mountPath": RUN_FOLDER}],
    }
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "run", **volume}],
    }
    spec = {
        "completionMode": "Indexed",
        "completions": replicas,
        "parallelism": replicas,
        "backoffLimitPerIndex": 20,
        "podReplacementPolicy": "Failed",
        "template": {"metadata": {"labels": ours, "annotations": {ATTEMPT: "1"}}, "spec": pod},
    }
    metadata = {"name": job(planned.name, role), "labels": ours, "ownerReferences": [owner]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
