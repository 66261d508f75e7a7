"""The API server of these tests answers as a real one does: each of these holds for both.

The real one is the context that SURREAL_E2E_CONTEXT names (marker e2e), in a namespace made for the test.
"""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.backends.kube.lifecycle import create as apply
from surreal.orchestrator.backends.kube.lifecycle import delete as remove
from surreal.orchestrator.backends.kube.lifecycle import preflight
from surreal.orchestrator.backends.kube.lifecycle.diff import diff
from surreal.orchestrator.backends.kube.names import ATTEMPT, query, selector
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube import client as api_module
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import AbsentError, ApiError, NoNamespaceError, TakenError
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.kube.accounts import account
from tests.orchestrator.kube.apiserver import NAMESPACE, api_server
from tests.orchestrator.kube.apistore import Failure, quota
from tests.orchestrator.kube.drawn import NAME, drawer

CONTEXT = os.environ.get("SURREAL_E2E_CONTEXT", "")
REAL = pytest.param("real", marks=pytest.mark.e2e)


@dataclass
class Place:
    """A namespace of either server."""

    api: Api
    elsewhere: Callable[[str], Api]
    """The same server's other namespaces."""
    limited: Callable[[set[tuple[str, str]]], Api]
    """The same namespace for a user who may do only this: (verb, resource)."""
    few: Callable[[str, int], None]
    """Allow so many ConfigMaps, by a quota of that name."""
    most: Callable[[str], None]
    """Allow a container so much memory, by a LimitRange."""


@pytest.fixture(params=["double", REAL])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "double":
        with api_server(tmp_path) as server:

            def limited(allowed: set[tuple[str, str]]) -> Api:
                server.store.rules.allowed = allowed
                return server.api()

            def few(name: str, most: int) -> None:
                server.store.admission.append(
                    quota(name, "ConfigMap", most, lambda: len(server.store.names("ConfigMap")))
                )

            def most(memory: str) -> None:
                words = f"maximum memory usage per Container is {memory}, but limit is 1Gi"
                server.store.admission.append(
                    lambda made: (
                        Failure(403, "Forbidden", f'pods "x" is forbidden: {words}') if made["kind"] == "Pod" else None
                    )
                )

            yield Place(server.api(), server.api, limited, few, most)
        return
    if not CONTEXT:
        pytest.skip("needs a cluster: SURREAL_E2E_CONTEXT names its context")
    name = f"surreal-test-{uuid.uuid4().hex[:6]}"
    api = Api.connect(None, CONTEXT, name)
    api.post("Namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        eventually(lambda: api.find("ServiceAccount", "default"))

        def other(namespace: str) -> Api:
            return Api.connect(None, CONTEXT, namespace)

        yield Place(
            api,
            other,
            lambda allowed: _limited(api, allowed, tmp_path),
            lambda n, most: _few(api, n, most),
            lambda memory: _most(api, memory),
        )
    finally:
        api.delete("Namespace", name)


def _most(api: Api, memory: str) -> None:
    limits = {"limits": [{"type": "Container", "max": {"memory": memory}}]}
    api.post("LimitRange", {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "most"}, "spec": limits})
    # the admission plug-in reads LimitRanges from a cache
    pod = {"containers": [{"name": "a", "image": "a", "resources": {"limits": {"memory": "64Gi"}}}]}

    def refused() -> bool:
        with pytest.raises(ApiError, match="maximum memory usage"):
            api.post(
                "Pod", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "trial"}, "spec": pod}, dry_run=True
            )
        return True

    eventually(refused)


def eventually(check: Callable[[], Any], seconds: float = 120.0) -> Any:
    """The first answer that is not empty: controllers of real clusters take their time."""
    end = time.monotonic() + seconds
    while not (found := check()) and time.monotonic() < end:
        time.sleep(0.1)
    assert found
    return found


def _limited(api: Api, allowed: set[tuple[str, str]], folder: Path) -> Api:
    """A ServiceAccount with a Role, by its token."""
    base = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{api.namespace}"
    rules = [
        {"verbs": [verb], "apiGroups": ["", "batch", "networking.k8s.io"], "resources": [what]}
        for verb, what in allowed
    ]
    api._json("POST", f"{base}/roles", {}, {"metadata": {"name": "few"}, "rules": rules})
    kubeconfig = account(api, "few", {"kind": "Role", "name": "few"}, folder)
    return Api.connect(str(kubeconfig), "few", api.namespace)


def _few(api: Api, name: str, most: int) -> None:
    hard = {"count/configmaps": str(most)}
    api.post("ResourceQuota", {"metadata": {"name": name}, "spec": {"hard": hard}})
    eventually(lambda: (api.get("ResourceQuota", name).get("status") or {}).get("used"))


def config_map(name: str, data: dict[str, str] | None = None, **metadata: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data or {"a": "1"}}


def names(api: Api, labels: str = "") -> list[str]:
    found = [each["metadata"]["name"] for each in api.list("ConfigMap", labels)]
    return [name for name in found if not name.endswith("ca.crt")]  # every namespace gets certificates


def refused(call: Callable[[], object]) -> ApiError:
    with pytest.raises(ApiError) as raised:
        call()
    return raised.value


def test_an_object_can_be_made_once(place: Place) -> None:
    place.api.post("ConfigMap", config_map("x"))
    error = refused(lambda: place.api.post("ConfigMap", config_map("x")))
    assert isinstance(error, TakenError)
    assert (error.status, error.reason, str(error)) == (409, "AlreadyExists", 'configmaps "x" already exists')


def test_an_object_that_is_not_there_is_absent(place: Place) -> None:
    error = refused(lambda: place.api.get("Job", "x"))
    assert isinstance(error, AbsentError)
    assert (error.status, str(error)) == (404, 'jobs.batch "x" not found')
    assert place.api.find("Job", "x") is None
    assert place.api.delete("Job", "x") is False
    assert isinstance(refused(lambda: place.api.patch("ConfigMap", "x", {"data": {}})), AbsentError)


def test_a_kind_without_a_definition_is_absent(place: Place) -> None:
    assert isinstance(refused(lambda: place.api.list("Workload")), AbsentError)
    assert place.api.find("Workload", "x") is None


def test_a_namespace_that_is_not_there_takes_nothing(place: Place) -> None:
    other = place.elsewhere("surreal-test-nobody")
    for call in (other.post, other.apply):
        error = refused(lambda call=call: call("ConfigMap", config_map("x")))  # type: ignore[misc]
        assert isinstance(error, NoNamespaceError)
        assert "kubectl create ns surreal-test-nobody" in str(error)
    assert other.list("ConfigMap") == []
    assert other.find("ConfigMap", "x") is None


def test_a_namespace_that_is_going_away_takes_nothing_new(place: Place) -> None:
    name = f"surreal-test-{uuid.uuid4().hex[:6]}"
    place.api.post("Namespace", {"metadata": {"name": name}, "status": {"phase": "Active"}})
    other = place.elsewhere(name)
    other.post("ConfigMap", config_map("stays", finalizers=["surreal.dev/test"]))
    place.api.delete("Namespace", name)
    try:
        eventually(
            lambda: (place.api.find("Namespace", name) or {"status": {}})["status"].get("phase") == "Terminating"
        )
        error = refused(lambda: other.apply("ConfigMap", config_map("x")))
        assert isinstance(error, NoNamespaceError)
        assert "is being removed" in str(error)
        with pytest.raises(NoNamespaceError, match="is being removed"):
            preflight.check(other, [])
    finally:
        other.patch("ConfigMap", "stays", {"metadata": {"finalizers": None}})


def test_apply_makes_changes_and_takes_back_what_it_does_not_say_any_more(place: Place) -> None:
    made = place.api.apply("ConfigMap", config_map("x", {"a": "1", "b": "2"}))
    again = place.api.apply("ConfigMap", config_map("x", {"a": "1", "b": "2"}))
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    place.api.patch("ConfigMap", "x", {"data": {"c": "3"}})
    changed = place.api.apply("ConfigMap", config_map("x", {"a": "4"}))
    assert changed["data"] == {"a": "4", "c": "3"}
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]


def test_apply_does_not_take_fields_from_others_unless_forced(place: Place) -> None:
    place.api.post("ConfigMap", config_map("x", {"a": "theirs"}))
    error = refused(lambda: place.api.apply("ConfigMap", config_map("x", {"a": "ours"})))
    assert (error.status, error.reason) == (409, "Conflict")
    assert [each["reason"] for each in error.body["details"]["causes"]] == ["FieldManagerConflict"]
    assert "another client has set .data.a" in str(error)
    assert place.api.apply("ConfigMap", config_map("x", {"a": "ours"}), force=True)["data"] == {"a": "ours"}


def test_a_patch_of_another_object_or_version_of_that_name_is_refused(place: Place) -> None:
    made = place.api.post("ConfigMap", config_map("x"))["metadata"]
    error = refused(lambda: place.api.patch("ConfigMap", "x", {"metadata": {"uid": str(uuid.uuid4())}}))
    assert error.status == 422
    assert "metadata.uid: " in str(error)
    place.api.patch("ConfigMap", "x", {"metadata": {"uid": made["uid"], "annotations": {"k": "v"}}})
    stale = {"metadata": {"resourceVersion": made["resourceVersion"]}, "data": {"a": "2"}}
    assert refused(lambda: place.api.patch("ConfigMap", "x", stale)).reason == "Conflict"
    removed = place.api.patch("ConfigMap", "x", {"metadata": {"annotations": {"k": None}}})
    assert not removed["metadata"].get("annotations")


def test_what_is_immutable_stays(place: Place) -> None:
    place.api.apply("ConfigMap", {**config_map("x"), "immutable": True})
    error = refused(lambda: place.api.apply("ConfigMap", {**config_map("x", {"a": "2"}), "immutable": True}))
    assert (error.status, error.reason) == (422, "Invalid")
    assert "data: Forbidden: field is immutable" in str(error)
    job = next(each for each in drawer()("0" * 8, 1) if each["kind"] == "Job")
    job["spec"]["suspend"] = True
    place.api.apply("Job", job)
    job["spec"]["template"]["spec"]["containers"][0]["image"] = "other:1"
    error = refused(lambda: place.api.apply("Job", job, dry_run=True, force=True))
    assert error.status == 422
    assert "spec.template" in str(error)
    assert str(error).endswith("field is immutable")
    assert len(str(error)) < 400


def test_a_dry_run_leaves_nothing(place: Place) -> None:
    assert place.api.post("ConfigMap", config_map("x"), dry_run=True)["metadata"]["name"] == "x"
    assert place.api.apply("ConfigMap", config_map("x"), dry_run=True)["data"] == {"a": "1"}
    assert names(place.api) == []
    place.api.apply("ConfigMap", config_map("x"))
    assert place.api.apply("ConfigMap", config_map("x", {"a": "2"}), dry_run=True)["data"] == {"a": "2"}
    assert place.api.get("ConfigMap", "x")["data"] == {"a": "1"}


def owned(owner: Object) -> dict[str, Any]:
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    return {"ownerReferences": [reference]}


def test_what_belongs_to_an_object_goes_with_it_and_after_it(place: Place) -> None:
    root = place.api.post("ConfigMap", config_map("root"))
    place.api.apply("ConfigMap", config_map("child", **owned(root)))
    place.api.post("ConfigMap", config_map("grandchild", **owned(place.api.get("ConfigMap", "child"))))
    place.api.post("ConfigMap", config_map("freed", **owned(root)))
    place.api.patch("ConfigMap", "freed", {"metadata": {"ownerReferences": None}})
    assert place.api.delete("ConfigMap", "root") is True
    eventually(lambda: names(place.api) == ["freed"])
    place.api.apply("ConfigMap", config_map("late", **owned(root)))
    eventually(lambda: names(place.api) == ["freed"])


def test_an_owner_that_belongs_to_what_it_owns_goes_with_it(place: Place) -> None:
    root = place.api.post("ConfigMap", config_map("root"))
    job = next(each for each in drawer()("0" * 8, 1) if each["kind"] == "Job")
    job["spec"]["suspend"] = True
    job["metadata"] |= owned(root)
    made = place.api.apply("Job", job)
    place.api.apply("ConfigMap", config_map("child", **owned(root)))
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": "toy-learner", "uid": made["metadata"]["uid"]}
    place.api.patch("ConfigMap", "root", {"metadata": {"ownerReferences": [reference]}})
    place.api.delete("Job", "toy-learner", propagation="Foreground")  # as the TTL controller does
    eventually(lambda: names(place.api) == [] and not place.api.find("Job", "toy-learner"))


def test_orphans_stay(place: Place) -> None:
    root = place.api.post("ConfigMap", config_map("root"))
    place.api.apply("ConfigMap", config_map("child", **owned(root)))
    place.api.delete("ConfigMap", "root", propagation="Orphan")
    eventually(lambda: names(place.api) == ["child"])
    assert "ownerReferences" not in place.api.get("ConfigMap", "child")["metadata"]


def test_lists_take_selectors_and_come_in_pages(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "PAGE", 2)
    for number in range(5):
        place.api.apply("ConfigMap", config_map(f"x{number}", labels={"odd": str(number % 2), f"n{number}": ""}))
    assert names(place.api) == ["x0", "x1", "x2", "x3", "x4"]
    assert names(place.api, "odd=1") == ["x1", "x3"]
    assert names(place.api, "odd=0,n2") == ["x2"]
    assert names(place.api, "odd=2") == []
    assert [each["metadata"]["name"] for each in place.api.list("ConfigMap", fields="metadata.name=x3")] == ["x3"]
    assert {each["kind"] for each in place.api.list("ConfigMap")} == {"ConfigMap"}
    spaces = {each["metadata"]["namespace"] for each in place.api.list("ConfigMap", "odd", everywhere=True)}
    assert spaces == {place.api.namespace}


def test_a_watch_tells_what_happens(place: Place) -> None:
    lists = place.api.watch("ConfigMap", labels="mine=yes")
    seen = [[each["metadata"]["name"] for each in next(lists)]]
    mine = {"labels": {"mine": "yes"}}
    for change in (
        lambda: place.api.post("ConfigMap", config_map("x", **mine)),
        lambda: place.api.post("ConfigMap", config_map("foreign")),
        lambda: place.api.post("ConfigMap", config_map("y", **mine)),
        lambda: place.api.patch("ConfigMap", "x", {"metadata": {"labels": {"mine": "no"}}}),
        lambda: place.api.delete("ConfigMap", "y"),
    ):
        change()
    seen += [[each["metadata"]["name"] for each in next(lists)] for _ in range(4)]
    assert seen == [[], ["x"], ["x", "y"], ["y"], []]


def test_who_one_is_and_what_one_may_do(place: Place) -> None:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    assert place.api.post("SelfSubjectReview", review)["status"]["userInfo"]["username"]
    assert preflight.check(place.api, drawer()("0" * 8, 1)) == []


def test_rights_that_are_missing_are_named(place: Place) -> None:
    few = place.limited({("get", "configmaps"), ("list", "configmaps"), ("get", "jobs")})
    error = refused(lambda: few.post("ConfigMap", config_map("x")))
    assert (error.status, error.reason) == (403, "Forbidden")
    assert f"missing right in namespace {place.api.namespace}: create configmaps (user " in str(error)
    with pytest.raises(SurrealError) as raised:
        preflight.check(few, drawer()("0" * 8, 1))
    wanted = (
        "create, patch, delete configmaps; create, delete secrets; get, list, create, patch, delete serviceaccounts;"
    )
    assert wanted in str(raised.value)
    assert "list, create, patch, delete jobs" in str(raised.value)


def test_a_quota_is_named_with_its_numbers(place: Place) -> None:
    place.few("tight", len(place.api.list("ConfigMap")) + 1)
    place.api.post("ConfigMap", config_map("x"))
    error = refused(lambda: place.api.post("ConfigMap", config_map("y")))
    assert error.status == 403
    assert str(error).startswith(f"quota tight of namespace {place.api.namespace} is too small to create configmaps")
    assert "requested count/configmaps=1, used: count/configmaps=" in str(error)


def test_a_limit_range_is_named_before_anything_is_made(place: Place) -> None:
    place.most("512Mi")
    wanted = "a LimitRange of the namespace refuses its pods: maximum memory usage per Container is 512Mi"
    objects = list(drawer()("0" * 8, 1))
    for each in objects:
        if each["kind"] == "Job":
            each["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"memory": "1Gi"}}
    with pytest.raises(SurrealError, match=f"nothing was made.*\n.*{wanted}"):
        preflight.check(place.api, objects)
    assert not place.api.find("ConfigMap", NAME)


def test_a_run_is_made_stopped_resumed_and_removed(place: Place) -> None:
    api, said = place.api, [""]
    run = apply.create(api, drawer(), said.append)
    with pytest.raises(TakenError, match=f"used by experiment {run} of user ada"):
        apply.create(api, drawer(), said.append)
    assert diff(api, NAME, drawer()(run, 1)) == []
    assert remove.stop(api, NAME, said.append)
    assert not remove.stop(api, NAME, said.append)
    apply.resume(api, NAME, drawer(), said.append)
    assert api.get("ConfigMap", NAME)["metadata"]["annotations"][ATTEMPT] == "2"
    assert len(api.list("Job")) == 3
    api.delete("Job", f"{NAME}-learner", propagation="Foreground")  # as the TTL controller does
    eventually(lambda: left(api) == ["PersistentVolumeClaim"], 60)
    with pytest.raises(TakenError, match="removes it with its results"):
        apply.create(api, drawer(), said.append)
    assert remove.delete(api, NAME, said.append) == 1
    apply.create(api, drawer(), said.append)
    assert remove.delete(api, NAME, said.append) == 12
    assert left(api) == []
    assert api.list("Secret") == []


def left(api: Api) -> list[str]:
    """The kinds of which something is there."""
    return [kind for kind in remove.HELD if kind != "JobSet" and api.list(kind, query(selector(NAME)))]


def test_the_double_has_the_namespace_it_says(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        assert server.api().namespace == NAMESPACE
