"""The state of a run and of its processes, from the objects of a cluster."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from surreal.orchestrator import client
from surreal.orchestrator.backends.kube.backend import KubeBackend
from surreal.orchestrator.backends.kube.lifecycle.create import create
from surreal.orchestrator.backends.kube.names import ATTEMPT, CREATED, OUTCOME, STOPPED, job, labels
from surreal.orchestrator.backends.kube.status.collect import (
    keep_outcome,
    keep_progress,
    names,
    read_events,
    snapshot,
    snapshots,
)
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.backends.kube.status.status import last_progress, status_of
from surreal.orchestrator.plan.model import PlannedStorage
from surreal.orchestrator.run import follow_status
from surreal.orchestrator.run.channel_stats import ChannelStatus
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.status import Status
from surreal.protocol.errors import NotFound, SurrealError, Timeout
from surreal.protocol.telemetry.gauges import Progress
from surreal.protocol.worker.termination import TerminationMessage
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import members
from tests.orchestrator.kube import recordings
from tests.orchestrator.kube.apiserver import CONTEXT, NAMESPACE, Server, api_server
from tests.orchestrator.kube.drawn import drawer
from tests.orchestrator.kube.recordings import GIB, plan, root


def states(status: Status) -> dict[str, list[str]]:
    return {role: [process.state for process in processes] for role, processes in status.roles.items()}


def marked(**annotations: str) -> Object:
    """The root with other annotations."""
    made = root(plan())
    return {**made, "metadata": {**made["metadata"], "annotations": annotations}}


def claim(**annotations: str) -> Object:
    about = {"name": "toy", "creationTimestamp": "2026-11-21T08:00:00Z", "annotations": annotations}
    return {"kind": "PersistentVolumeClaim", "metadata": about, "status": {"phase": "Bound"}}


def finished(case: str, kind: str, role: str) -> Snapshot:
    """A recording in which the Job of a role has a condition."""
    seen = recordings.snapshot(case)

    def changed(each: Object) -> Object:
        if each["metadata"]["name"] != job("toy", role):
            return each
        return {
            **each,
            "status": {**each["status"], "conditions": [{"type": kind, "status": "True", "message": "why"}]},
        }

    return replace(seen, jobs=tuple(map(changed, seen.jobs)))


STILL = {"actor/1": (240.0, "is inside env.step (my_env.py:12)")}


def since(seen: Snapshot, seconds: float) -> Snapshot:
    """A recording in which every container has run for so long."""
    at = (seen.taken - timedelta(seconds=seconds)).isoformat()
    ours = {"name": "worker", "state": {"running": {"startedAt": at}}}
    return replace(
        seen, pods=tuple({**pod, "status": {**pod["status"], "containerStatuses": [ours]}} for pod in seen.pods)
    )


def test_a_process_that_stands_still_is_said_with_its_place() -> None:
    seen = since(recordings.snapshot("running"), 600)
    stalled = Progress(steps=40, progress_age=240.0)
    status = status_of(seen, stalled, (), STILL)
    assert status.state == "running"
    assert status.reason == "no progress for 4 min: actor/1 is inside env.step (my_env.py:12)"
    assert [each.reason for each in status.roles["actor"]][1] == "is inside env.step (my_env.py:12)"
    assert status_of(seen, Progress(steps=40), (), STILL).reason == "actor/1 is inside env.step (my_env.py:12)"


def test_a_process_that_was_just_started_again_does_not_stand_still() -> None:
    seen = since(recordings.snapshot("running"), 20)
    assert (
        status_of(seen, Progress(steps=40), (), {**STILL, "stranger/7": (1.0, "is away"), "bad": (1.0, "")}).reason
        == ""
    )


def test_a_run_runs_when_the_process_that_ends_it_does() -> None:
    status = status_of(recordings.snapshot("running"))
    assert (status.state, status.reason, status.over) == ("running", "", False)
    assert states(status) == {"actor": ["running"] * 2, "learner": ["running"], "evaluator": ["running"]}
    assert {each.node for processes in status.roles.values() for each in processes} == {"node-1"}
    assert status.created == "2026-11-21T08:00:00+00:00"
    assert status_of(recordings.snapshot("image-not-found")).state == "pending"


def test_the_end_of_the_learner_is_the_runs_and_says_how_far_it_came() -> None:
    status = status_of(recordings.snapshot("succeeded"))
    assert (status.state, status.reason) == ("succeeded", "")
    assert set(sum(states(status).values(), [])) == {"done"}
    assert (status.progress.steps, status.progress.total_steps, status.progress.episode_return) == (41312, 10**6, 12.5)
    assert isinstance(status.progress.steps, int)
    told = Progress(steps=5)
    assert status_of(recordings.snapshot("succeeded"), told).progress == told, "who was asked knows better"
    assert last_progress(recordings.snapshot("running")) is None


@pytest.mark.parametrize(("goal", "reason"), [(12.5, "its return reached stop_at_return, 12.5"), (13, ""), (None, "")])
def test_a_run_that_reached_its_goal_says_so(goal: float | None, reason: str) -> None:
    seen = recordings.snapshot("succeeded")
    assert seen.plan
    config = {"total_steps": 10**6, "stop_at_return": goal}
    status = status_of(replace(seen, plan=seen.plan.model_copy(update={"config": config})))
    assert (status.state, status.reason, status.progress.steps) == ("succeeded", reason, 41312)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("fatal", "learner/0 cannot go on (exit 3): no environment NoSuch-v0 (did you mean Ant-v5?)"),
        ("learner-given-up", "learner/0 failed (exit 1): NaN in the loss (2 times)"),
        ("given-up", "actor/0 failed (exit 1): no luck\nsurreal stop toy ends the rest"),
        ("fatal-actor", "actor/1 cannot go on (exit 3): no environment NoSuch-v0\nsurreal stop toy ends the rest"),
    ],
)
def test_a_run_fails_with_the_words_of_the_process_that_failed_it(case: str, reason: str) -> None:
    status = status_of(recordings.snapshot(case))
    assert (status.state, status.reason) == ("failed", reason)


def test_a_run_that_reached_a_limit_is_stopped_and_says_which() -> None:
    seen = recordings.snapshot("fatal")
    words = "spec.limits.hours: 2 are used up. Go on: surreal resume toy --set spec.limits.hours=..."
    ending = {"exitCode": 6, "message": TerminationMessage("STOPPED", words, {"hours": 2.0}).line()}
    ours = [{"name": "worker", "state": {"terminated": ending}}]
    pods = tuple(
        {**pod, "status": {**pod["status"], "containerStatuses": ours}} if "learner" in pod["metadata"]["name"] else pod
        for pod in seen.pods
    )
    status = status_of(replace(seen, pods=pods))
    assert (status.state, status.reason, status.progress.hours) == ("stopped", words, 2.0)


def test_a_run_that_runs_out_of_memory_too_often_says_so() -> None:
    seen = finished("oom", "Failed", "learner")
    status = status_of(replace(seen, plan=plan(memory=2 * GIB)))
    assert status.state == "failed" and states(status)["learner"] == ["failed"]
    said = "learner/0 OOMKilled: limit 2.0 GiB; raise spec.roles.learner.resources.memory (3 times)"
    assert status.reason == said


def test_without_pods_a_failed_job_speaks_for_itself() -> None:
    status = status_of(replace(finished("running", "Failed", "learner"), pods=()))
    assert (status.state, status.reason) == ("failed", "the Job of learner failed: why")


def test_an_evaluator_never_fails_a_run() -> None:
    status = status_of(recordings.snapshot("evaluator-given-up"))
    assert status.state == "running" and states(status)["evaluator"] == ["failed"]
    assert "evaluator: failed (exit 1)" in status.reason


def test_crashes_and_preemptions_are_restarts() -> None:
    crash = status_of(recordings.snapshot("crash"))
    assert crash.state == "running" and [(each.state, each.restarts) for each in crash.roles["actor"]] == [
        ("restarting", 2),
        ("restarting", 2),
    ]
    assert (
        crash.roles["actor"][0].reason
        == "failed (exit 1): ZeroDivisionError: division by zero; restarts after the 3rd failure"
    )
    assert crash.roles["learner"][0].reason == ""
    preempted = status_of(recordings.snapshot("preempted"))
    assert preempted.state == "running" and preempted.progress.steps == 41312, "as far as its last pod came"
    assert [(each.state, each.restarts) for each in preempted.roles["learner"]] == [("restarting", 2)]


def test_a_pod_that_is_deleted_or_evicted_is_replaced_alone() -> None:
    evicting = status_of(recordings.snapshot("evicted-at-once"))
    assert evicting.state == "running" and states(evicting)["learner"] == ["restarting"]
    for case, restarts in (("evicted", [1, 1]), ("deleted-pod", [0, 1])):
        status = status_of(recordings.snapshot(case))
        assert (status.state, states(status)["actor"]) == ("running", ["running", "running"])
        assert [each.restarts for each in status.roles["actor"]] == restarts


def test_a_stopped_run_is_over_once_its_pods_are_gone() -> None:
    status = status_of(recordings.snapshot("suspended"))
    assert status.state == "stopped" and set(sum(states(status).values(), [])) == {"stopped"}
    ending = status_of(replace(recordings.snapshot("running"), root=marked(**{CREATED: "now", STOPPED: "now"})))
    assert (ending.state, ending.reason) == ("running", "it is being stopped: 4 pods still to end")
    told = marked(**{CREATED: "now", STOPPED: "now"})
    assert states(status_of(recordings.snapshot("evicted-at-once", root=told)))["learner"] == ["running"], (
        "it still saves"
    )
    queued = recordings.snapshot("suspended", root=told, jobs=(), pods=())
    assert status_of(queued).state == "stopped", "a JobSet is removed to be stopped"


def test_an_interrupted_creation_says_how_to_go_on() -> None:
    seen = replace(recordings.snapshot("running"), root=marked(), pods=())
    status = status_of(seen)
    assert status.state == "pending"
    assert status.reason == "its creation was interrupted: surreal create it again, or surreal delete toy"
    assert status_of(replace(seen, taken=recordings.BEGUN + timedelta(seconds=9))).reason == "it is being created"
    again = status_of(replace(seen, root=marked(**{ATTEMPT: "2"})))
    assert again.state == "pending" and "surreal resume toy goes on" in again.reason
    gone = status_of(replace(seen, root=marked(**{CREATED: "now"}), jobs=()))
    assert gone.state == "pending" and gone.reason.startswith("its Jobs are gone")


def test_of_a_run_that_is_long_over_the_claim_is_left() -> None:
    seen = replace(recordings.snapshot("running"), root=None, plan=None, jobs=(), pods=())
    kept = status_of(replace(seen, claim=claim(**{OUTCOME: "succeeded"})))
    assert (kept.state, kept.folder, kept.roles) == ("succeeded", "pvc/toy in namespace rl", {})
    assert kept.reason.endswith("its claim keeps metrics, logs and checkpoints (surreal delete toy removes it)")
    unseen = status_of(replace(seen, claim=claim(**{OUTCOME: "nonsense"})))
    assert unseen.state == "stopped" and "surreal wait toy reads it from the claim" in unseen.reason


def test_a_run_that_is_being_deleted_is_over() -> None:
    status = status_of(replace(recordings.snapshot("running"), root=None, plan=None))
    assert (status.state, status.reason) == ("stopped", "it is being deleted; Jobs left: 3, pods: 4")
    assert set(status.roles) == {"actor", "learner", "evaluator"}, "the Jobs know their roles"


def test_a_plan_of_another_version_is_no_crash() -> None:
    status = status_of(replace(recordings.snapshot("running"), plan=None))
    assert status.state == "failed" and "another version" in status.reason


def test_a_jobset_ends_as_its_learner_does() -> None:
    planned = plan().model_copy(update={"queue": "research"})
    seen = recordings.snapshot("running", planned, pods=())

    def jobset(kind: str) -> Object:
        return {
            "kind": "JobSet",
            "spec": {},
            "status": {"conditions": [{"type": kind, "status": "True", "message": "m"}]},
        }

    assert status_of(replace(seen, jobset=jobset("Completed"))).state == "succeeded"
    failed = status_of(replace(seen, jobset=jobset("Failed")))
    assert (failed.state, failed.reason) == ("failed", "its JobSet failed: m")


def test_the_folder_is_where_the_results_are() -> None:
    def folder(storage: PlannedStorage, **changes: Any) -> str:
        planned = plan().model_copy(update={"storage": storage})
        return status_of(recordings.snapshot("running", planned, **changes)).folder

    assert folder(PlannedStorage(kind="url", url="s3://bucket/toy")) == "s3://bucket/toy"
    assert folder(PlannedStorage(kind="claim"), claim=claim()) == "pvc/toy in namespace rl"
    assert folder(PlannedStorage(kind="emptyDir")) == "/surreal/run in the pod of learner"


def test_channels_pass_through_to_the_stable_document() -> None:
    channel = ChannelStatus("experience", "stream", ())
    document = status_of(recordings.snapshot("crash"), channels=[channel]).document()
    assert [each["name"] for each in document["channels"]] == ["experience"]
    assert document["backend"] == "kube" and document["roles"]["actor"][0]["reason"].startswith("failed (exit 1)")


def test_a_thousand_actors_take_little_time() -> None:
    seen = recordings.snapshot("running", plan(actors=1000))
    pod = seen.pods_of("actor")[0][0]
    key = "batch.kubernetes.io/job-completion-index"
    many = [
        {**pod, "metadata": {**pod["metadata"], "name": f"toy-actor-{i}-x", "annotations": {key: str(i)}}}
        for i in range(1000)
    ]
    before = time.process_time()
    status = status_of(replace(seen, pods=tuple(many)))
    assert states(status)["actor"] == ["running"] * 1000
    assert time.process_time() - before < 30, "and is no loop of loops"


@pytest.mark.parametrize(
    ("text", "found"),
    [("0-2,5", {0, 1, 2, 5}), ("7", {7}), ("", set()), ("3-1", set()), ("x,-,2-", {2}), ("0-999999999", set(range(9)))],
)
def test_indexes_are_read_as_kubernetes_writes_them(text: str, found: set[int]) -> None:
    assert members(text, 9) == found


def told(reason: str, message: str, at: str, **fields: Any) -> Object:
    about = {"kind": "Pod", "name": "p"}
    return {
        "involvedObject": about,
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
        "type": "Warning",
        **fields,
    }


def test_events_are_each_told_once_the_newest_last() -> None:
    first, again = "2026-11-21T08:00:00Z", "2026-11-21T08:05:00Z"
    other = {
        "regarding": {"kind": "Job", "name": "j"},
        "reason": "FailedCreate",
        "note": "no",
        "eventTime": "2026-11-21T08:03:00.123456Z",
        "series": {"count": 7, "lastObservedTime": "2026-11-21T08:06:00.5Z"},
        "type": "Normal",
    }
    found = read_events([other, told("BackOff", "x", again, count=4), told("BackOff", "x", first), {}])
    assert [(each.kind, each.name, each.reason, each.count) for each in found] == [
        ("", "", "", 1),
        ("Pod", "p", "BackOff", 4),
        ("Job", "j", "FailedCreate", 7),
    ]
    assert found[1].warning and not found[2].warning and found[2].text == "no"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with api_server(tmp_path) as running:
        yield running


def made(server: Server, name: str = "toy") -> None:
    """An experiment with a Job and a pod on the server."""
    api = server.api()
    planned = plan().model_copy(update={"name": name})
    api.post("ConfigMap", {"apiVersion": "v1", **root(planned)})
    common = {**labels(name, "0a1b2c3d", "actor")}
    meta = {"name": job(name, "actor"), "labels": common}
    spec = {"completionMode": "Indexed", "completions": 2, "template": {"spec": {"containers": []}}}
    api.post("Job", {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})
    pod = {"name": f"{name}-actor-0-abcde", "labels": common}
    api.post("Pod", {"apiVersion": "v1", "kind": "Pod", "metadata": pod, "spec": {"containers": []}})


def test_a_snapshot_is_one_request_for_each_kind(server: Server) -> None:
    made(server)
    made(server, "toy-2")
    pod = {"kind": "Pod", "name": "toy-actor-0-abcde"}
    for number, about in enumerate(
        (pod, {"kind": "Pod", "name": "toy-2-actor-0-abcde"}, {"kind": "Node", "name": "n"})
    ):
        event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": f"e{number}"}, "involvedObject": about}
        server.api().post("Event", {**event, "reason": "FailedMount", "message": "x", "type": "Warning"})
    server.requests.clear()
    seen = snapshot(server.api(), "toy")
    assert len(server.requests) == 5, server.requests
    assert seen.plan == plan() and seen.created and seen.roles == ("actor", "learner", "evaluator")
    assert [len(each) for each in (seen.pods, seen.jobs, seen.events)] == [1, 1, 1]
    assert names(server.api()) == ["toy", "toy-2"]


def test_an_unknown_name_is_not_found_with_the_nearest(server: Server) -> None:
    with pytest.raises(NotFound, match="There are none: name another namespace with -n"):
        snapshot(server.api(), "tony")
    made(server)
    with pytest.raises(NotFound) as caught:
        snapshot(server.api(), "tony")
    assert str(caught.value) == (
        "no experiment 'tony' in namespace lab of context double (did you mean 'toy'?). There are: toy."
    )


def test_a_role_behind_the_name_is_not_found_with_the_nearest(server: Server) -> None:
    made(server)
    asked = len(server.requests)
    with pytest.raises(NotFound, match=r"no experiment 'toy/actor' .* There are: toy"):
        snapshot(server.api(), "toy/actor")
    assert not any("toy/actor" in path or "toy%2Factor" in path for path in map(str, server.requests[asked:]))


def test_a_config_map_of_somebody_else_is_no_experiment(server: Server) -> None:
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "toy"}, "data": {"plan.json": "{}"}}
    server.api().post("ConfigMap", theirs)
    with pytest.raises(NotFound):
        snapshot(server.api(), "toy")
    assert names(server.api()) == []


def test_who_may_not_see_events_sees_the_rest(server: Server) -> None:
    made(server)
    server.store.rules.allowed = {(verb, kind) for verb in ("get", "list") for kind in ALL if kind != "events"}
    assert snapshot(server.api(), "toy").events == ()
    server.store.rules.allowed = {("get", "configmaps")}
    with pytest.raises(SurrealError):
        snapshot(server.api(), "toy")


ALL = ("configmaps", "pods", "jobs", "persistentvolumeclaims", "events")


def test_the_outcome_is_noted_on_the_claim_once(server: Server) -> None:
    made(server)
    size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    about = {"name": "toy", "labels": labels("toy", "0a1b2c3d")}
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": about, "spec": size}
    server.api().post("PersistentVolumeClaim", body)
    api = server.api()
    running = Status("toy", "kube", "", "running", progress=Progress(steps=700, updates=7, eval_return=3.5))
    failed = replace(running, state="failed")
    keep_outcome(api, snapshot(api, "toy"), running)
    keep_outcome(api, snapshot(api, "toy"), failed)
    server.requests.clear()
    keep_outcome(api, seen := snapshot(api, "toy"), failed)
    assert "PATCH" not in {method for method, _ in server.requests}
    assert seen.claim and seen.claim["metadata"]["annotations"][OUTCOME] == "failed"
    for kind, name in (("ConfigMap", "toy"), ("Job", "toy-actor"), ("Pod", "toy-actor-0-abcde")):
        api.delete(kind, name)
    assert names(api) == ["toy"]
    left = status_of(snapshot(api, "toy"))
    assert (left.state, left.progress) == ("failed", failed.progress)


def test_how_far_a_run_was_when_it_was_stopped_is_known_though_its_pods_are_gone(server: Server) -> None:
    made(server)
    api, progress = server.api(), Progress(steps=41_312, total_steps=10**6, updates=40, episode_return=12.5)
    keep_progress(api, snapshot(api, "toy"), progress)
    api.delete("Pod", "toy-actor-0-abcde")
    assert status_of(snapshot(api, "toy")).progress == progress


def test_a_pod_that_reads_results_does_not_make_a_finished_run_look_deleted() -> None:
    reader = {"kind": "Pod", "metadata": {"name": "toy-reader-x", "labels": {}}, "status": {"phase": "Running"}}
    left = Snapshot("toy", "lab", recordings.snapshot("running").taken, claim=claim(**{OUTCOME: "succeeded"}))
    assert status_of(left).state == "succeeded"
    assert status_of(replace(left, pods=(reader,))).state == "succeeded"


def test_a_job_that_was_removed_while_the_run_goes_on_is_said_with_the_way_out() -> None:
    seen = recordings.snapshot("running")
    jobs = tuple(each for each in seen.jobs if each["metadata"]["name"] != "toy-actor")
    assert status_of(replace(seen, jobs=jobs)).reason == (
        "actor: its Job toy-actor is gone: surreal stop toy, then surreal resume toy, makes it again"
    )


def test_a_namespace_that_is_being_removed_is_seen(server: Server) -> None:
    made(server)
    api = server.api()
    api.patch("Pod", "toy-actor-0-abcde", {"metadata": {"finalizers": ["batch.kubernetes.io/job-tracking"]}})
    server.requests.clear()
    assert not snapshot(api, "toy").leaving
    assert not any(path.endswith("/namespaces/lab") for _, path in server.requests), "nothing is being removed"
    api.delete("Pod", "toy-actor-0-abcde")
    assert not snapshot(api, "toy").leaving
    api.delete("Namespace", "lab")
    assert snapshot(api, "toy").leaving


def test_a_namespace_that_is_being_removed_is_said_and_ends_waiting() -> None:
    status = status_of(replace(recordings.snapshot("running"), leaving=True))
    assert status.over and status.reason == (
        "namespace rl is being removed, and the run with it; surreal delete toy ends it at once"
    )


def test_many_runs_cost_a_few_questions_and_are_told_as_each_alone(tmp_path: Path) -> None:
    with api_server(tmp_path, runs_jobs=True) as server:
        api = server.api()
        for number in range(4):
            create(api, drawer(name=f"toy-{number:02}"), lambda _text: None)
        server.requests.clear()
        found = snapshots(api)
        assert len(server.requests) == 5, "one list of each kind"
        assert [each.name for each in found] == [f"toy-{number:02}" for number in range(4)]
        alone = snapshot(api, "toy-02")
        assert replace(found[2], taken=alone.taken) == alone


@pytest.mark.parametrize("placed", [True, False])
def test_waiting_for_a_hundred_actors_asks_less_than_once_a_second(
    placed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    fake = SimpleNamespace(monotonic=lambda: clock[0], sleep=lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    for module in (follow_status, client):
        monkeypatch.setattr(module, "time", fake)
    many = plan().model_copy(
        update={
            "roles": tuple(r.model_copy(update={"replicas": 100}) if r.name == "actor" else r for r in plan().roles)
        }
    )
    with api_server(tmp_path, runs_jobs=placed) as server:
        api = server.api()
        create(api, drawer(actors=100), lambda _text: None)
        api.patch("ConfigMap", "toy", {"data": {"plan.json": many.to_json()}})
        place = KubeBackend(Location("kube", NAMESPACE, CONTEXT, str(server.kubeconfig)))
        place.status("toy")
        server.requests.clear()
        with pytest.raises(Timeout):
            client.Run("toy", place).wait(120.0, notify=lambda _text: None)
    assert 20 * 3 <= len(server.requests) <= 120, "it looks every 6 s, and tidies up every minute"
