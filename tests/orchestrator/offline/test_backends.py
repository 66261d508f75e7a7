"""Runs without actors on backends: their shards, learner and evaluator there are as they are here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from surreal.algorithms.exporting.record import Behaviour, Recording, record
from tests.orchestrator.ray.small_cluster import SmallCluster
from tests.orchestrator.sites import Here, Site, create, when


@pytest.fixture(params=["here", pytest.param("ray", marks=pytest.mark.timeout(400))])
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """This machine, and a Ray cluster on it."""
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    ray = request.param == "ray"
    found: Here | SmallCluster = request.getfixturevalue("ray_cluster") if ray else Here()
    yield found
    for name in found.backend.names():
        found.backend.delete(name)


@pytest.mark.slow
def test_a_dataset_is_learned_from_to_the_end(site: Site, tmp_path: Path) -> None:
    dataset = record(
        [Behaviour("random", None)], {"id": "CartPole-v1"}, Recording(tmp_path / "x", "tests/x-v0", episodes=8)
    )
    config = {"dataset": str(dataset), "total_steps": 300, "batch": 32, "hidden": [16], "evaluate_episodes": 1}
    name = create(
        site,
        {
            "apiVersion": "surreal.dev/v1alpha1",
            "kind": "Experiment",
            "metadata": {"name": "cloned"},
            "spec": {
                "env": {"id": "CartPole-v1"},
                "algorithm": {"name": "bc", "config": config},
                "roles": {"dataset": {"replicas": 2, "resources": {"cpu": "50m", "memory": "512Mi"}}},
            },
        },
    )
    over = when(site, name, "the run ends", lambda status: status.over, 300)
    assert (over.state, over.reason) == ("succeeded", "")
    assert over.progress.steps == 300
    assert {role: len(each) for role, each in over.roles.items()} == {"learner": 1, "dataset": 2, "evaluator": 1}
