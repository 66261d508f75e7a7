"""Delete, stop and the end of leftovers: nothing stays, nothing of others goes, and what does not go is named."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from surreal.orchestrator.backends.kube.lifecycle import create as apply
from surreal.orchestrator.backends.kube.lifecycle import delete as remove
from surreal.orchestrator.backends.kube.names import PLAN_KEY
from surreal.orchestrator.backends.kube.status import collect as observe
from surreal.protocol.errors import NotFound, SurrealError
from surreal.provisioner.kube.kinds import INSTANCE, Object
from tests.orchestrator.kube.apiserver import NAMESPACE, Server, api_server
from tests.orchestrator.kube.drawn import NAME, drawer
from tests.orchestrator.runs import plan


def create(server: Server, name: str = NAME) -> str:
    return apply.create(server.api(), drawer(name), server.said.append)


def delete(server: Server, name: str = NAME) -> int:
    return remove.delete(server.api(), name, server.said.append)


def test_delete_removes_every_object_and_says_how_many(tmp_path: Path) -> None:
    with api_server(tmp_path, runs_jobs=True) as server:
        create(server)
        create(server, "other")
        others = [name for name in server.store.names() if "other" in name]
        assert delete(server) == 12
        assert [name for name in server.store.names() if "Pod/" not in name] == [n for n in others if "Pod/" not in n]
        with pytest.raises(NotFound, match="no experiment 'toy' in namespace lab of context double"):
            delete(server)


def test_delete_works_without_anybody_who_collects_garbage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remove, "COLLECTION", 0.0)
    with api_server(tmp_path, collects=False) as server:
        create(server)
        assert delete(server) == 12
        assert server.store.names() == []


def test_all_pods_are_asked_to_end_in_one_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remove, "COLLECTION", float("inf"))
    with api_server(tmp_path, runs_jobs=True) as server:
        create(server)
        create(server, "other")
        processes = sum(role.replicas for role in plan(NAME).roles)
        others = [name for name in server.store.await_count("Pod", 2 * processes) if name.startswith("other")]
        server.requests.clear()
        delete(server)
        asked = [path for verb, path in server.requests if verb == "DELETE" and "/pods" in path]
        assert asked == [f"/api/v1/namespaces/{NAMESPACE}/pods"]
        assert server.store.names("Pod") == others


def test_objects_whose_owner_was_removed_alone_are_found_by_their_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remove, "COLLECTION", 0.0)
    with api_server(tmp_path) as server:
        create(server)
        server.api().delete("ConfigMap", NAME, propagation="Orphan")
        assert delete(server) == 11
        assert server.store.names() == []


def test_only_results_are_left_and_can_be_deleted(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        create(server)
        server.api().delete("Job", f"{NAME}-learner")
        server.store.await_names([f"PersistentVolumeClaim/{NAME}"])
        assert delete(server) == 1
        assert server.store.names() == []


def test_what_does_not_go_is_named_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remove, "PATIENCE", 0.3)
    with api_server(tmp_path) as server:
        create(server)
        server.api().patch(
            "PersistentVolumeClaim", NAME, {"metadata": {"finalizers": ["kubernetes.io/pvc-protection"]}}
        )
        with pytest.raises(
            SurrealError, match="toy: 1 object does not go: PersistentVolumeClaim toy. .*: a pod on a lost node"
        ):
            delete(server)


def test_a_root_that_is_not_ours_is_not_deleted(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.api().post("ConfigMap", {"metadata": {"name": NAME}})
        with pytest.raises(NotFound):
            delete(server)
        assert server.store.names() == [f"ConfigMap/{NAME}"]


def test_secrets_are_removed_without_the_right_to_see_any(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        create(server)
        delete(server)
        assert {verb for verb, path in server.requests if "/secrets" in path} == {"POST", "DELETE"}


def test_stop_waits_for_the_pods_and_tells_how_many_there_are(tmp_path: Path) -> None:
    with api_server(tmp_path, runs_jobs=True) as server:
        create(server)
        server.store.await_count("Pod", 4)
        assert remove.stop(server.api(), NAME, server.said.append)
        assert server.store.names("Pod") == []
        assert all(server.store.get("Job", NAMESPACE, job)["spec"]["suspend"] for job in server.store.names("Job"))


def test_pods_that_do_not_end_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remove, "PATIENCE", 0.3)
    with api_server(tmp_path) as server:
        create(server)
        labels = {**drawer()("0" * 8, 1)[0]["metadata"]["labels"], remove.OF_A_JOB: "toy-learner"}
        pod = {"metadata": {"name": "stuck", "labels": labels}, "status": {"phase": "Running"}}
        server.api().post("Pod", pod)
        with pytest.raises(SurrealError, match="toy: 1 pod does not end: Pod stuck. .*: a pod on a lost node"):
            remove.stop(server.api(), NAME, server.said.append)


def finish(server: Server, role: str, what: str, ago: float) -> None:
    """Have a role's Job be done since so many seconds."""
    at = (datetime.now(UTC) - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {"type": what, "status": "True", "lastTransitionTime": at}
    server.api().patch("Job", f"{NAME}-{role}", {"status": {"conditions": [condition]}})


def planned(run: str, attempt: int) -> list[Object]:
    objects = list(drawer()(run, attempt))
    objects[0]["data"][PLAN_KEY] = plan(NAME).to_json()
    return objects


@pytest.mark.parametrize(
    ("what", "ago", "left"),
    [("Complete", 90, ["actor", "evaluator"]), ("Failed", 90, ["actor", "evaluator"]), ("Complete", 10, [])],
)
def test_processes_that_never_heard_of_the_end_are_ended_after_a_minute(
    tmp_path: Path, what: str, ago: float, left: list[str]
) -> None:
    with api_server(tmp_path) as server:
        apply.create(server.api(), planned, server.said.append)
        assert remove.end_leftovers(server.api(), observe.snapshot(server.api(), NAME)) == []
        finish(server, "learner", what, ago)
        assert sorted(remove.end_leftovers(server.api(), observe.snapshot(server.api(), NAME))) == left
        assert len(server.store.names("Job")) == 3 - len(left)
        assert server.store.get("ConfigMap", NAMESPACE, NAME)["metadata"]["labels"][INSTANCE] == NAME


def test_when_a_role_that_the_run_needs_can_never_succeed_the_others_are_ended_and_their_words_kept(
    tmp_path: Path,
) -> None:
    with api_server(tmp_path) as server:
        apply.create(server.api(), planned, server.said.append)
        finish(server, "evaluator", "Failed", 90)
        assert remove.end_leftovers(server.api(), observe.snapshot(server.api(), NAME)) == []
        finish(server, "actor", "Failed", 90)
        assert sorted(remove.end_leftovers(server.api(), observe.snapshot(server.api(), NAME))) == ["learner"]
        assert remove.end_leftovers(server.api(), observe.snapshot(server.api(), NAME)) == []
        assert server.store.get("Job", NAMESPACE, f"{NAME}-learner")["spec"]["suspend"] is True
        assert server.store.names("ConfigMap")


def test_nothing_runs_after_the_end_so_there_is_nothing_to_stop(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        create(server)
        for role in ("learner", "actor", "evaluator"):
            finish(server, role, "Complete", 1)
        assert not remove.stop(server.api(), NAME, server.said.append)


KINDS = [
    "configmaps",
    "secrets",
    "serviceaccounts",
    "services",
    "persistentvolumeclaims",
    "networkpolicies",
    "jobs",
    "pods",
]
EDIT = {(verb, kind) for kind in KINDS for verb in ("get", "list", "watch", "create", "patch", "delete")}
"""Rights of ClusterRole `edit`, as far as runs touch them: nothing of JobSets."""


def test_whoever_has_the_rights_of_edit_can_create_stop_and_delete(tmp_path: Path) -> None:
    with api_server(tmp_path, runs_jobs=True) as server:
        server.store.rules.allowed = EDIT
        create(server)
        assert remove.stop(server.api(), NAME, server.said.append)
        assert delete(server) == 12
