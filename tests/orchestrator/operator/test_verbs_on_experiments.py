"""The command line and a run that kubectl applied: the verbs go through the spec, with and without an operator."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from surreal.orchestrator.backends.kube.names import ATTEMPT, STOPPED
from surreal.orchestrator.client import Client, Run
from surreal.protocol.errors import InvalidInput, NotFound
from tests.orchestrator.kube.apiserver import CONTEXT, NAMESPACE
from tests.orchestrator.operator.cluster import NAME, Cluster, cluster, node


def client(place: Cluster) -> Client:
    return Client("kube", context=CONTEXT, namespace=NAMESPACE, kubeconfig=place.server.kubeconfig)


def run(place: Cluster) -> Run:
    return Run(NAME, client(place).backend)


@contextmanager
def operating(place: Cluster) -> Iterator[None]:
    """An operator that looks after each change of the Experiment."""
    ended = threading.Event()

    def work() -> None:
        looked = None
        while not ended.is_set():
            found = place.person.find("Experiment", NAME)
            seen = found and (found["metadata"]["generation"], str(found["metadata"].get("annotations")))
            if seen != looked:
                looked = seen
                place.reconcile()
            with place.store.changed:
                place.store.changed.wait(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_list_and_status_show_both_kinds_of_runs_and_those_that_were_refused(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.apply("wrong", algorithm={"name": "ppo", "config": {"gama": 1}})
        place.apply("unseen")
        place.reconcile()
        place.reconcile("wrong")
        assert [each.name for each in client(place).list()] == [NAME, "unseen", "wrong"]
        states = {each.name: each for each in client(place).backend.statuses()}
        assert [states[name].state for name in (NAME, "unseen", "wrong")] == ["pending", "pending", "failed"]
        assert "gama" in client(place).get("wrong").status().reason
        assert "is one installed? surreal cluster install --operator" in states["unseen"].reason
        with pytest.raises(NotFound):
            client(place).get("none")


def test_status_knows_how_far_a_run_is_that_no_pod_tells_of(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        place.person.patch_status("Experiment", NAME, {"steps": 5000})
        assert client(place).get(NAME).status().progress.steps == 5000


def test_stop_sets_the_spec_and_stops_without_an_operator_too(tmp_path: Path) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:
        place.apply()
        place.reconcile()
        assert run(place).stop()
        assert place.person.get("Experiment", NAME)["spec"]["suspend"] is True
        assert place.root()["annotations"][STOPPED]
        assert place.store.names("Pod") == []
        # an operator that comes back leaves it so
        assert place.reconcile()["state"] == "stopped"


def test_resume_and_scale_are_done_by_the_operator(tmp_path: Path) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:
        place.person.post("Node", node())
        place.apply()
        place.reconcile()
        run(place).stop()
        with operating(place):
            run(place).resume()
            assert place.root()["annotations"][ATTEMPT] == "2"
            run(place).scale({"actor": 4})
            assert place.store.get("Job", NAMESPACE, f"{NAME}-actor")["spec"]["completions"] == 4
        assert place.person.get("Experiment", NAME)["spec"]["roles"]["actor"]["replicas"] == 4


def test_another_value_is_refused_before_anything_stops(tmp_path: Path) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:
        place.apply()
        place.reconcile()
        with pytest.raises(InvalidInput, match="whose spec does not change but for spec.roles.ROLE.replicas"):
            client(place).backend.change(NAME, ["spec.algorithm.config.total_steps=5"])
        assert STOPPED not in place.root()["annotations"]


def test_delete_removes_the_experiment_and_its_run(tmp_path: Path) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:
        place.apply()
        place.reconcile()
        run(place).delete()
        place.store.await_names([each for each in place.store.names() if each.startswith("Event/")])
        place.apply("refused", algorithm={"name": "my:Own"})
        place.reconcile("refused")
        client(place).backend.delete("refused")
        assert place.left() == []
