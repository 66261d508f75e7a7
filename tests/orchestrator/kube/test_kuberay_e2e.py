"""KubeRay's own definition of a RayJob on a real API server: SURREAL_E2E_CONTEXT=CONTEXT pytest -m e2e.

It needs the definition alone (`ray.io_rayjobs.yaml` of KubeRay, applied server-side), and no operator.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from surreal.orchestrator.backends.kube.kuberay import lifecycle
from surreal.orchestrator.backends.kube.kuberay.render import Moment, render
from surreal.orchestrator.plan.model import Plan
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.kube.rendered import CODE, RUN, everything, example, queued
from tests.orchestrator.kube.small_run import CONTEXT, namespace

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not CONTEXT, reason="needs a cluster: SURREAL_E2E_CONTEXT names its context"),
]


@pytest.fixture
def api() -> Iterator[Api]:
    """A namespace of its own that enforces the restricted standard, in a cluster that knows RayJobs."""
    with namespace("restricted") as found:
        try:
            found.list("RayJob")
        except SurrealError as error:
            pytest.skip(f"KubeRay's definitions are not in this cluster: {error}")
        yield found


def objects(api: Api, plan: Plan, suspended: bool = True) -> list[Object]:
    """The objects of a plan in this namespace."""
    moment = Moment(suspended=suspended, queued=False)
    return render(plan, RUN, api.namespace, CODE if plan.code else None, "kind: Experiment\n", moment)


def within(wanted: Any, there: Any, path: str = "") -> list[str]:
    """The fields of `wanted` that a server dropped or changed."""
    if isinstance(wanted, dict) and isinstance(there, dict):
        return [each for key in wanted for each in within(wanted[key], there.get(key), f"{path}.{key}")]
    if isinstance(wanted, list) and isinstance(there, list) and len(wanted) == len(there):
        return [
            each
            for number, pair in enumerate(zip(wanted, there, strict=True))
            for each in within(*pair, f"{path}[{number}]")
        ]
    return [] if wanted == there else [path]


@pytest.mark.parametrize("plan", [example, everything, queued])
def test_a_real_server_takes_the_ray_job_and_drops_nothing(api: Api, plan: Any) -> None:
    wanted = objects(api, plan())[0]
    assert within(wanted["spec"], api.post("RayJob", wanted, dry_run=True)["spec"]) == []


def test_the_comparison_sees_a_field_that_a_server_drops(api: Api) -> None:
    wanted = objects(api, example())[0]
    wanted["spec"]["rayClusterSpec"]["authOptionz"] = {"mode": "token"}
    assert within(wanted["spec"], api.post("RayJob", wanted, dry_run=True)["spec"]) == [".rayClusterSpec.authOptionz"]


def test_a_run_is_made_stopped_resumed_renewed_and_deleted_there(api: Api) -> None:
    plan = example()
    lifecycle.check(api, objects(api, plan))

    def draw(run: str) -> list[Object]:
        return render(plan, run, api.namespace, None, "kind: Experiment\n", Moment(suspended=True, queued=False))

    lifecycle.create(api, plan, draw)
    assert api.get("RayJob", plan.name)["spec"]["suspend"] is False
    lifecycle.stop(api, api.get("RayJob", plan.name))
    assert api.get("RayJob", plan.name)["spec"]["suspend"] is True
    lifecycle.go_on(api, plan, api.get("RayJob", plan.name))
    before = api.get("RayJob", plan.name)["metadata"]["uid"]
    lifecycle.renew(api, plan, draw)
    assert api.get("RayJob", plan.name)["metadata"]["uid"] != before
    lifecycle.delete(api, plan.name)
    assert api.find("RayJob", plan.name) is None and api.find("PersistentVolumeClaim", plan.name) is None


@pytest.mark.parametrize("group", range(4))
def test_the_pods_that_kuberay_makes_of_it_are_admitted(api: Api, group: int) -> None:
    """What the operator adds is an init container with the container's own security context."""
    api.apply("ServiceAccount", next(each for each in objects(api, example()) if each["kind"] == "ServiceAccount"))
    cluster = objects(api, example())[0]["spec"]["rayClusterSpec"]
    templates = [cluster["headGroupSpec"]["template"], *(each["template"] for each in cluster["workerGroupSpecs"])]
    template = templates[min(group, len(templates) - 1)]
    container = template["spec"]["containers"][0]
    added = {**container, "name": "wait-gcs-ready", "ports": []}
    spec = {**template["spec"], "initContainers": [added]}
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "spec": spec}
    pod["metadata"] = {**template["metadata"], "name": "head", "namespace": api.namespace}
    assert api.post("Pod", pod, dry_run=True)["metadata"]["name"] == "head"
