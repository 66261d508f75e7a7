"""Experiments that wait, fail or were swapped: they hold up no other, and no status tells what is not so."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.backends.kube.lifecycle.delete import OF_A_JOB
from surreal.orchestrator.backends.kube.names import ATTEMPT
from surreal.orchestrator.backends.kube.run_folder.locate import Seen
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.operator.experiments import place as place_module
from surreal.orchestrator.operator.experiments import reconcile
from surreal.orchestrator.operator.experiments.reconcile import REFUSED_S, RETRY_S
from surreal.orchestrator.operator.main import RETRIES_S
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.kube.apiserver import NAMESPACE
from tests.orchestrator.operator.cluster import NAME, Cluster, cluster


def await_left(place: Cluster, *wanted: str) -> None:
    with place.store.changed:
        assert place.store.changed.wait_for(lambda: place.left() == list(wanted), 120), place.left()


def pod(place: Cluster) -> Object:
    """A pod of the learner as its Job would make it."""
    template = place.store.get("Job", NAMESPACE, f"{NAME}-learner")["spec"]["template"]["metadata"]
    labels = {**template["labels"], OF_A_JOB: f"{NAME}-learner"}
    about = {"name": f"{NAME}-learner-0-abcde", "labels": labels, "annotations": template["annotations"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": {}, "status": {"phase": "Running"}}


def test_no_thread_waits_for_the_attempt_before_and_the_next_begins_after_it(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        old = place.person.post("Pod", pod(place))
        place.patch(replicas=4)
        operator = place.reconciler()
        # The second look is that of an operator that finds the Jobs gone already.
        for each in (operator, place.reconciler()):
            assert each.reconcile(NAME) == RETRY_S
            assert "waiting for 1 pod of the attempt before" in place.status()["reason"]
            assert (place.status()["state"], place.store.names("Job")) == ("pending", [])
        assert "lost node" not in place.status()["reason"]
        long_ago = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/kubelet"]}}
        place.person.patch("Pod", old["metadata"]["name"], long_ago)
        assert operator.reconcile(NAME) == RETRY_S
        assert "a pod on a lost node is removed once the node is back" in place.status()["reason"]
        place.person.patch("Pod", old["metadata"]["name"], {"metadata": {"finalizers": None}})
        operator.reconcile(NAME)
        place.check_whole()
        actors = place.store.get("Job", NAMESPACE, f"{NAME}-actor")["spec"]
        assert (actors["completions"], place.root()["annotations"][ATTEMPT]) == (4, "2")


def test_a_status_is_not_written_on_another_experiment_of_that_name(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        api = place.server.api()
        write = api.patch_status

        def late(*arguments: Any) -> Object:
            api.patch_status = write  # type: ignore[method-assign]
            place.person.delete("Experiment", NAME)
            place.apply()
            return write(*arguments)

        api.patch_status = late  # type: ignore[method-assign,assignment]
        operator = place.reconciler(api)
        assert operator.reconcile(NAME) == 0.0
        assert place.status() == {}
        assert len([path for verb, path in place.server.requests if path.endswith("/status")]) == 1
        await_left(place, f"Experiment/{NAME}")
        operator.reconcile(NAME)
        place.check_whole()


def test_one_that_gets_no_answer_is_tried_ever_more_rarely_until_it_does(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        api = place.server.api()
        api.retries.longest = RETRIES_S
        operator = place.reconciler(api)
        place.server.fault(500, verb="PATCH", kind="Service", times=10**6, message="webhook timed out")
        place.apply()
        assert [operator.reconcile(NAME) for _ in range(5)] == [RETRY_S, 10.0, 20.0, 40.0, REFUSED_S]
        refusal = place.condition("Accepted")
        assert (refusal["status"], refusal["reason"]) == ("Unknown", "NoAnswer")
        assert "webhook timed out" in refusal["message"]
        assert max(place.server.pauses) < RETRIES_S
        place.server._faults.clear()
        operator.reconcile(NAME)
        place.check_whole()
        place.server.fault(503, verb="GET", kind="Pod", times=10**6)
        assert operator.reconcile(NAME) == RETRY_S


def test_connections_to_pods_stay_open_only_while_they_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Open:
        """A connection to a pod."""

        def look(self, _seen: object) -> Seen:
            opened.add(self)
            return Seen()

        def close(self) -> None:
            opened.discard(self)

    opened: set[object] = set()
    monkeypatch.setattr(place_module, "Glance", lambda _api: Open())
    monkeypatch.setattr(place_module, "KEPT", 2)
    with cluster(tmp_path) as there:
        place = place_module.Place(there.server.api())
        for name in ("a", "b", "c", "d"):
            place.look(Snapshot(name, NAMESPACE, datetime.now(UTC)))
        assert len(opened) == 2
        place.close()
        assert not opened


def test_figures_of_a_run_stay_while_the_server_does_not_answer(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        known = {"state": "running", "replicas": 2, "stepsPerSecond": 900}
        place.person.patch_status("Experiment", NAME, known)
        place.server.fault(503, verb="GET", kind="Pod", times=10**6)
        status = place.reconcile()
        assert place.condition("Accepted")["reason"] == "NoAnswer"
        assert {key: status[key] for key in known} == known


def test_a_run_whose_root_was_removed_by_hand_is_ended_and_said_to_be(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        place.person.patch_status("Experiment", NAME, {"state": "running", "replicas": 2})
        place.person.delete("ConfigMap", NAME)
        await_left(place, f"Experiment/{NAME}", f"Job/{NAME}-learner")
        status = place.reconcile()
        assert place.left() == [f"Experiment/{NAME}"]
        assert (status["state"], status["replicas"]) == ("stopped", 0)
        assert f"EndedLeftovers: {NAME}-learner lost the ConfigMap of the run" in place.events()


def test_a_fault_of_the_operator_is_told_where_a_person_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object) -> None:
        raise KeyError("phase")

    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        monkeypatch.setattr(reconcile, "status_of", fault)
        with pytest.raises(KeyError):
            place.reconcile()
        told = place.condition("Accepted")
        assert (told["status"], told["reason"]) == ("Unknown", "Fault")
        assert place.status()["reason"] == "fault of the operator: KeyError('phase')"
        monkeypatch.undo()
        assert place.reconcile()["reason"] != "fault of the operator: KeyError('phase')"
