"""Runs as RayJobs against an API server: made whole or not at all, started last, stopped, resumed, deleted."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.backends.base import backend
from surreal.orchestrator.backends.kube.kuberay.backend import KubeRayBackend
from surreal.orchestrator.backends.kube.names import ATTEMPT, CREATED, PROGRESS, RUN
from surreal.orchestrator.client import Client, Run
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.location import Location, remembered
from surreal.protocol.errors import InvalidInput, NotFound, SurrealError
from surreal.provisioner.kube.kinds import Object
from tests.cli.terminal import surreal
from tests.orchestrator.documents import minimal
from tests.orchestrator.kube.apiserver import NAMESPACE, Server, api_server
from tests.orchestrator.kube.rendered import ROOMY, settled

NAME = "cart"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A cluster with KubeRay's definitions and without its operator."""
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    with api_server(tmp_path) as found:
        found.unknown -= {"RayJob", "Workload"}
        monkeypatch.setenv("KUBECONFIG", str(found.kubeconfig))
        yield found


@pytest.fixture
def kuberay(server: Server) -> KubeRayBackend:
    """The backend, which waits for nothing."""
    made = backend(Location.of("kube", engine="ray"))
    assert isinstance(made, KubeRayBackend)
    made.api = server.api()
    return made


def experiment(**spec: Any) -> tuple[Experiment, Plan]:
    """An experiment and its plan."""
    found = Experiment.from_data(minimal(**spec))
    return found, settled(make_plan(found, [ROOMY]))


def job(server: Server) -> Object:
    return server.store.get("RayJob", NAMESPACE, NAME)


def told(server: Server, phase: str, **more: str) -> None:
    """What KubeRay's operator would write."""
    status = {"status": {"jobDeploymentStatus": phase, **more}}
    server.store.patch("RayJob", NAMESPACE, NAME, status, "kuberay", False)


def test_all_belongs_to_the_ray_job_which_starts_last(server: Server, kuberay: KubeRayBackend) -> None:
    kuberay.create(*experiment())
    assert server.store.names() == [
        f"ConfigMap/{NAME}-documents",
        f"NetworkPolicy/{NAME}",
        f"PersistentVolumeClaim/{NAME}",
        f"RayJob/{NAME}",
        f"ServiceAccount/{NAME}",
    ]
    made = job(server)
    assert made["spec"]["suspend"] is False and made["metadata"]["annotations"][CREATED]
    writes = [path.rpartition("/")[2] for verb, path in server.writes()]
    assert writes[0] == "rayjobs" and writes[-1] == NAME, "made first, started last"
    owned = server.store.get("ConfigMap", NAMESPACE, f"{NAME}-documents")["metadata"]["ownerReferences"]
    assert [each["uid"] for each in owned] == [made["metadata"]["uid"]]
    assert kuberay.names() == [NAME] and remembered()[NAME][0].engine == "ray"


def test_an_interrupted_creation_is_suspended_and_goes_on(server: Server, kuberay: KubeRayBackend) -> None:
    server.fault(422, verb="PATCH", kind="NetworkPolicy")
    server.fault("reset", verb="DELETE", times=100)
    with pytest.raises(SurrealError):
        kuberay.create(*experiment())
    assert job(server)["spec"]["suspend"] is True
    server._faults.clear()
    run = job(server)["metadata"]["labels"][RUN]
    kuberay.create(*experiment())
    assert job(server)["spec"]["suspend"] is False and job(server)["metadata"]["labels"][RUN] == run


def test_what_the_cluster_refuses_leaves_nothing(server: Server, kuberay: KubeRayBackend) -> None:
    server.fault(422, verb="PATCH", kind="PersistentVolumeClaim")
    with pytest.raises(SurrealError):
        kuberay.create(*experiment())
    server.store.await_names([])


def test_a_name_is_given_once(server: Server, kuberay: KubeRayBackend) -> None:
    kuberay.create(*experiment())
    with pytest.raises(InvalidInput, match="name 'cart' is used since 20.*surreal delete cart"):
        kuberay.create(*experiment())


def test_results_of_an_earlier_run_of_that_name_are_not_taken_over(server: Server, kuberay: KubeRayBackend) -> None:
    kuberay.create(*experiment())
    server.api().delete("RayJob", NAME)
    server.store.await_names([f"PersistentVolumeClaim/{NAME}"])
    with pytest.raises(InvalidInput, match="there is a PersistentVolumeClaim cart .* removes it with its results"):
        kuberay.create(*experiment())
    server.store.await_names([f"PersistentVolumeClaim/{NAME}"])


def test_a_cluster_without_kuberay_is_named_and_nothing_is_made(server: Server, kuberay: KubeRayBackend) -> None:
    server.unknown.add("RayJob")
    with pytest.raises(SurrealError, match="--engine ray: KubeRay is not installed in this cluster"):
        kuberay.create(*experiment())
    assert server.store.names() == [] and kuberay.names() == []


def test_a_kuberay_that_would_drop_the_token_is_refused(
    server: Server, kuberay: KubeRayBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = server.store.create

    def older(kind: str, namespace: str, body: Object, manager: str, dry: bool) -> Object:
        if kind == "RayJob":
            del body["spec"]["rayClusterSpec"]["authOptions"]
        return create(kind, namespace, body, manager, dry)

    monkeypatch.setattr(server.store, "create", older)
    with pytest.raises(SurrealError, match="does not know authOptions, so its Ray would demand no token"):
        kuberay.create(*experiment())
    assert server.store.names() == []


def test_rights_that_are_missing_are_listed(server: Server, kuberay: KubeRayBackend) -> None:
    server.store.rules.allowed = {("get", "pods")}
    with pytest.raises(SurrealError, match="namespace lab: missing rights: get, list, create, patch, delete rayjobs"):
        kuberay.create(*experiment())


@pytest.mark.parametrize(
    ("phase", "more", "state", "reason"),
    [
        ("", {}, "pending", "KubeRay's operator has not looked at it yet: is it running?"),
        ("Initializing", {}, "pending", "KubeRay makes its pods"),
        ("Running", {}, "running", ""),
        ("Complete", {"jobStatus": "SUCCEEDED"}, "succeeded", ""),
        ("Failed", {"jobStatus": "FAILED", "reason": "AppFailed", "message": "exit 1"}, "failed", "AppFailed: exit 1"),
        ("ValidationFailed", {"reason": "ValidationFailed", "message": "no"}, "failed", "ValidationFailed: no"),
        ("Suspended", {}, "stopped", ""),
    ],
)
def test_the_state_is_what_kuberay_says(
    server: Server, kuberay: KubeRayBackend, phase: str, more: dict[str, str], state: str, reason: str
) -> None:
    kuberay.create(*experiment())
    told(server, phase, **more)
    found = kuberay.status(NAME)
    assert (found.state, found.reason) == (state, reason)
    assert list(found.roles) == [role.name for role in experiment()[1].roles]


def test_a_run_that_reached_its_goal_says_so_without_its_head(server: Server, kuberay: KubeRayBackend) -> None:
    kuberay.create(*experiment(algorithm={"name": "ppo", "config": {"stop_at_return": 475}}))
    told(server, "Complete", jobStatus="SUCCEEDED")
    noted = json.dumps({"steps": 59_136, "updates": 1, "episode_return": 476.0})
    server.store.patch("RayJob", NAMESPACE, NAME, {"metadata": {"annotations": {PROGRESS: noted}}}, "kuberay", False)
    found = kuberay.status(NAME)
    assert (found.state, found.reason) == ("succeeded", "its return reached stop_at_return, 475")


def test_a_run_that_has_succeeded_is_not_sent_to_a_resume_that_is_refused(
    server: Server, kuberay: KubeRayBackend
) -> None:
    kuberay.create(*experiment())
    told(server, "Complete", jobStatus="SUCCEEDED")
    with pytest.raises(InvalidInput, match="^cart: runs of this place cannot be changed. Create another one with"):
        Run(NAME, kuberay).scale({"actor": 3})


def test_a_pod_that_finds_no_place_is_the_reason(server: Server, kuberay: KubeRayBackend) -> None:
    kuberay.create(*experiment())
    told(server, "Initializing")
    labels = job(server)["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["metadata"]["labels"]
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes fit"}
    pod = {"metadata": {"name": "p", "labels": labels}, "status": {"phase": "Pending", "conditions": [condition]}}
    server.store.create("Pod", NAMESPACE, pod, "kuberay", False)
    assert kuberay.status(NAME).reason == "learner: Unschedulable: 0/3 nodes fit"


def test_files_of_a_run_without_a_head_are_said_not_to_be_at_hand(server: Server, kuberay: KubeRayBackend) -> None:
    kuberay.create(*experiment())
    with pytest.raises(SurrealError, match="cart: its files are not at hand, since no head runs now"):
        list(kuberay.logs(NAME))
    assert not server.store.names("Pod"), "no pod is started to read a volume that is not written yet"


def test_stop_suspends_and_resume_starts_again(server: Server, kuberay: KubeRayBackend) -> None:
    kuberay.create(*experiment())
    told(server, "Running")
    assert kuberay.stop(NAME)
    assert job(server)["spec"]["suspend"] is True and kuberay.status(NAME).state == "stopped"
    assert not kuberay.stop(NAME)
    kuberay.resume(NAME)
    assert job(server)["spec"]["suspend"] is False
    assert kuberay.status(NAME).state == "running"
    with pytest.raises(InvalidInput, match="cart is running: nothing to resume"):
        kuberay.resume(NAME)


def test_a_queue_is_told_by_the_workload(server: Server, kuberay: KubeRayBackend) -> None:
    kuberay.create(*experiment(queue="team-rl"))
    made = job(server)
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-rl"
    assert made["spec"]["suspend"] is True, "Kueue starts it"
    owner = [{"apiVersion": "ray.io/v1", "kind": "RayJob", "name": NAME, "uid": made["metadata"]["uid"]}]
    workload = {"metadata": {"name": "w", "ownerReferences": owner}, "spec": {"active": True}}
    server.store.create("Workload", NAMESPACE, workload, "kueue", False)
    told(server, "Running")
    kuberay.stop(NAME)
    assert server.store.get("Workload", NAMESPACE, "w")["spec"]["active"] is False
    kuberay.resume(NAME)
    assert server.store.get("Workload", NAMESPACE, "w")["spec"]["active"] is True


def test_a_failed_run_goes_on_as_a_new_ray_job_with_its_claim(server: Server, kuberay: KubeRayBackend) -> None:
    kuberay.create(*experiment())
    claim = server.store.get("PersistentVolumeClaim", NAMESPACE, NAME)["metadata"]["uid"]
    before = job(server)
    told(server, "Failed", jobStatus="FAILED")
    kuberay.resume(NAME)
    after = job(server)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["metadata"]["labels"][RUN] == before["metadata"]["labels"][RUN]
    assert after["metadata"]["annotations"][ATTEMPT] == "2" and after["spec"]["suspend"] is False
    assert server.store.get("PersistentVolumeClaim", NAMESPACE, NAME)["metadata"]["uid"] == claim


def test_a_deleted_run_leaves_nothing(server: Server, kuberay: KubeRayBackend) -> None:
    kuberay.create(*experiment())
    kuberay.delete(NAME)
    server.store.await_names([])
    assert NAME not in remembered()
    with pytest.raises(NotFound, match="no experiment 'cart' with --engine ray in namespace lab.*There are none"):
        kuberay.status(NAME)


def test_a_file_that_did_not_change_has_no_difference(server: Server, kuberay: KubeRayBackend) -> None:
    kuberay.create(*experiment())
    assert kuberay.diff(*experiment()).differences == ()
    changed = kuberay.diff(*experiment(seed=7)).differences
    assert [(each.kind, each.change) for each in changed] == [("RayJob", "changed"), ("ConfigMap", "changed")]


def test_jobs_and_ray_jobs_do_not_see_each_other(server: Server, kuberay: KubeRayBackend) -> None:
    kuberay.create(*experiment())
    jobs = backend(Location.of("kube"))
    assert jobs.names() == [] and list(jobs.statuses()) == []


def test_all_commands_mean_the_engine_that_they_were_given(server: Server, kuberay: KubeRayBackend) -> None:
    client = Client.at(Location.of("kube", engine="ray"))
    assert isinstance(client.backend, KubeRayBackend) and client.location.engine == "ray"
    kuberay.create(*experiment())
    # a note is enough, and other places that are named are not those of the note
    assert isinstance(Run.find(NAME, None).backend, KubeRayBackend)
    assert isinstance(Run.find(NAME, Location.of("kube")).backend, KubeRayBackend)


def test_an_engine_is_refused_where_there_is_no_kubernetes(tmp_path: Path) -> None:
    file = tmp_path / "e.yaml"
    file.write_text(
        "apiVersion: surreal.dev/v1alpha1\nkind: Experiment\nmetadata: {name: e}\n"
        "spec: {env: {id: CartPole-v1}, algorithm: {name: ppo}}\n"
    )
    answer = surreal("create", file, "--on", "ray", "--engine", "ray")
    assert answer.returncode == 2 and "--engine: 'ray' is about Kubernetes. Give --on kube" in answer.stderr
