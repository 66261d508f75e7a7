"""A Sweep of the cluster: its Experiments, a few at a time, counted as they end."""

from pathlib import Path
from typing import Any

from surreal.orchestrator.operator.experiments.place import Place
from surreal.orchestrator.operator.sweeps import SweepReconciler
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.operator.cluster import NAME, Cluster, cluster

GRID = {"grid": {"spec.algorithm.config.gamma": [0.9, 0.99]}, "seeds": 2, "parallel": 3}


def apply(place: Cluster, **spec: Any) -> None:
    about = {"apiVersion": "surreal.dev/v1alpha1", "kind": "Sweep", "metadata": {"name": "s"}}
    place.person.post("Sweep", {**about, "spec": {"experiment": f"examples/{NAME}.yaml", **spec}})


def reconcile(place: Cluster) -> Object:
    SweepReconciler(Place(place.server.api())).reconcile("s")
    return dict(place.person.get("Sweep", "s")["status"])


def runs(place: Cluster) -> list[str]:
    return [name for name in place.store.names("Experiment") if name != NAME]


def end(place: Cluster, name: str, state: str) -> None:
    place.person.patch_status("Experiment", name, {"state": state, "reason": "of a test"})


def test_a_grid_becomes_experiments_as_many_at_once_as_it_says(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply(suspend=True)
        apply(place, **GRID)
        status = reconcile(place)
        assert runs(place) == ["s-0-s1", "s-0-s2", "s-1-s1"]
        assert (status["state"], status["runs"], status["pending"]) == ("running", 4, 3)
        first = place.person.get("Experiment", "s-0-s1")
        assert first["spec"]["algorithm"]["config"]["gamma"] == 0.9
        assert first["metadata"]["labels"]["sweep"] == "s"
        assert not first["spec"].get("suspend")
        end(place, "s-0-s1", "succeeded")
        reconcile(place)
        assert runs(place) == ["s-0-s1", "s-0-s2", "s-1-s1", "s-1-s2"]
        for name in runs(place):
            end(place, name, "succeeded")
        status = reconcile(place)
        assert (status["state"], status["succeeded"]) == ("succeeded", 4)
        before = len(place.server.writes())
        reconcile(place)
        assert place.server.writes()[before:] == []


def test_suspending_it_suspends_its_runs_and_deleting_it_removes_them(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply(suspend=True)
        apply(place, **GRID)
        reconcile(place)
        place.person.patch("Sweep", "s", {"spec": {"suspend": True}})
        assert reconcile(place)["state"] == "stopped"
        assert all(place.person.get("Experiment", name)["spec"]["suspend"] for name in runs(place))
        place.person.patch("Sweep", "s", {"spec": {"suspend": False}})
        assert reconcile(place)["state"] == "running"
        place.person.delete("Sweep", "s")
        with place.store.changed:
            assert place.store.changed.wait_for(lambda: place.left() == [f"Experiment/{NAME}"], 120)


def test_it_gives_up_when_the_first_runs_fail(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply(suspend=True)
        apply(place, **GRID)
        reconcile(place)
        for name in runs(place):
            end(place, name, "failed")
        status = reconcile(place)
        assert status["state"] == "failed"
        assert "the first 3 runs failed: of a test" in status["reason"]


def test_what_it_cannot_do_is_refused_with_the_key(tmp_path: Path) -> None:
    space = {"spec.algorithm.config.gamma": {"low": 0.9, "high": 0.99}}
    with cluster(tmp_path) as place:
        apply(place, **GRID)
        assert "names no Experiment toy of the namespace" in reconcile(place)["reason"]
        place.apply(suspend=True)
        for spec, said in (
            ({"space": space, "trials": 2}, "spec.sampler: 'tpe' needs a study's memory"),
            ({"grid": {"spec.algorithm.config.gama": [1]}}, "gama"),
            ({**GRID, "budget": {"cost": 3}}, "spec.budget.cost"),
            ({**GRID, "trials": 0}, "spec.trials"),
        ):
            place.person.delete("Sweep", "s")
            apply(place, **spec)
            assert said in reconcile(place)["reason"]
            assert runs(place) == []
